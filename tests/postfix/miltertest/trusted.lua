-- A client in a trusted network is signed for without a login, and one beside it is not.
dofile(COMMON)

for ip, want in pairs({ ["127.0.0.1"] = true, ["127.25.0.10"] = true, ["127.25.0.11"] = false, ["192.0.2.1"] = false }) do
    local conn = open(6, nil, nil)
    greet(conn, ip)
    envelope(conn, "anna@example.com")
    check(accepted(plain(conn, "anna@example.com")), ip .. ": it was not accepted")
    check(changed(conn, MT_HDRINSERT, "DKIM-Signature") == want, ip .. ": signed or not, but not as it should be")
    mt.disconnect(conn)
end
