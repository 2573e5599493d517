-- What is done with a message by its result: fail is rejected, none is quarantined, pass is accepted.
dofile(COMMON)

local conn = open(6, nil, nil)
greet(conn)
envelope(conn, "anna@example.com")
check(accepted(signed(conn)), "pass was not accepted")
check(not changed(conn, MT_QUARANTINE), "pass was quarantined")

envelope(conn, "anna@example.com", nil, "QUEUE2")
local reply = signed(conn, nil, "another body\r\n")
check(reply == SMFIR_REPLYCODE or reply == SMFIR_REJECT, "fail was not rejected: " .. reply)

envelope(conn, "anna@elsewhere.test", nil, "QUEUE3")
check(accepted(plain(conn, "anna@elsewhere.test")), "none was not accepted")
check(changed(conn, MT_QUARANTINE), "none was not quarantined")

mt.disconnect(conn)

-- Where quarantine is not on offer, it is not asked for; to refuse such an MTA is right too.
local poor = mt.connect(SOCKET, 20, 0.1)
if mt.negotiate(poor, 6, nil, SMFIF_ADDHDRS + SMFIF_CHGHDRS) == nil then
    greet(poor)
    envelope(poor, "anna@elsewhere.test", nil, "QUEUE4")
    plain(poor, "anna@elsewhere.test")
    check(not changed(poor, MT_QUARANTINE), "quarantine was asked for, and was not on offer")
    mt.disconnect(poor)
end
