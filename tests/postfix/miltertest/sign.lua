-- Signing as a foreign MTA sees it: who has a login is signed for, others are not, and messages do not mix.
dofile(COMMON)

local conn = open(6, nil, nil)
greet(conn)

envelope(conn, "anna@example.com", "anna", "QUEUE1")
check(accepted(plain(conn, "anna@example.com")), "it was not accepted")
check(changed(conn, MT_HDRINSERT, "DKIM-Signature"), "no signature was inserted")
local value = mt.getheader(conn, "DKIM-Signature", 0)
check(value and value:find("d=example.com", 1, true), "no d= in the signature: " .. tostring(value))
check(not value:find("\r", 1, true), "a CR within the value")
for line in value:gmatch("\n(.)") do
    check(line == " " or line == "\t", "a line of the value that is not folded")
end
check(not changed(conn, MT_HDRDELETE), "a field was deleted")
check(not changed(conn, MT_HDRCHANGE), "a field was changed")
check(not changed(conn, MT_BODYCHANGE), "the body was changed")

-- The next one over the same connection has no login, and must not inherit one.
envelope(conn, "anna@example.com", nil, "QUEUE2")
check(accepted(plain(conn, "anna@example.com")), "the second was not accepted")
check(not changed(conn, MT_HDRINSERT, "DKIM-Signature"), "signed without a login")

-- A login, and an author who is not ours.
envelope(conn, "anna@elsewhere.test", "anna", "QUEUE3")
check(accepted(plain(conn, "anna@elsewhere.test")), "the third was not accepted")
check(not changed(conn, MT_HDRINSERT, "DKIM-Signature"), "signed for somebody else")

-- And the first again.
envelope(conn, "anna@example.com", "anna", "QUEUE4")
check(accepted(plain(conn, "anna@example.com")), "the fourth was not accepted")
check(changed(conn, MT_HDRINSERT, "DKIM-Signature"), "no signature after the others")
mt.disconnect(conn)
