-- ABORT at every stage, and a message after each: nothing of the one before is left.
dofile(COMMON)

local conn = open(6, nil, nil)
greet(conn)

local STAGES = {
    mail = function() step(conn, SMFIP_NOMAIL, "mailfrom", "<eve@elsewhere.test>") end,
    rcpt = function() envelope(conn, "eve@elsewhere.test") end,
    header = function()
        envelope(conn, "eve@elsewhere.test")
        field(conn, "From", "eve@elsewhere.test")
    end,
    eoh = function()
        envelope(conn, "eve@elsewhere.test")
        field(conn, "From", "eve@elsewhere.test")
        step(conn, SMFIP_NOEOH, "eoh")
    end,
    body = function()
        envelope(conn, "eve@elsewhere.test")
        field(conn, "From", "eve@elsewhere.test")
        step(conn, SMFIP_NOEOH, "eoh")
        chunk(conn, "left over\r\n")
    end,
}

for stage, start in pairs(STAGES) do
    start()
    check(mt.abort(conn) == nil, "abort after " .. stage)
    envelope(conn, "anna@example.com", "anna")
    check(accepted(plain(conn, "anna@example.com")), "not accepted after an abort after " .. stage)
    check(changed(conn, MT_HDRINSERT, "DKIM-Signature"), "not signed after an abort after " .. stage)
    check(mt.getheader(conn, "DKIM-Signature", 0):find("d=example.com", 1, true), "signed for somebody else")
end

-- Twice, and with nothing to abort.
check(mt.abort(conn) == nil, "abort")
check(mt.abort(conn) == nil, "abort")
envelope(conn, "anna@example.com", "anna")
check(accepted(plain(conn, "anna@example.com")), "not accepted after two aborts")
check(changed(conn, MT_HDRINSERT, "DKIM-Signature"), "not signed after two aborts")

-- A connection that ends without a word.
mt.disconnect(conn, false)
conn = open(6, nil, nil)
greet(conn)
envelope(conn, "anna@example.com", "anna")
check(accepted(plain(conn, "anna@example.com")), "not accepted after a rude end")
mt.disconnect(conn)
