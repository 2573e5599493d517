-- Verifying as a foreign MTA sees it: one field is inserted on top, with what is true.
dofile(COMMON)

local function result(conn)
    local value = mt.getheader(conn, "Authentication-Results", 0)
    check(value, "no Authentication-Results")
    check(not value:find("\r", 1, true), "a CR within the value")
    check(value:find("mx.test", 1, true), "without our id: " .. value)
    return value:match("dkim=(%a+)")
end

local conn = open(6, nil, nil)
greet(conn)
envelope(conn, "anna@example.com")
check(accepted(signed(conn)), "it was not accepted")
check(result(conn) == "pass", "not pass, but " .. tostring(result(conn)))
check(changed(conn, MT_HDRINSERT, "Authentication-Results"), "it was not inserted")

envelope(conn, "anna@example.com", nil, "QUEUE2")
check(accepted(signed(conn, nil, "another body\r\n")), "it was not accepted")
check(result(conn) == "fail", "not fail, but " .. tostring(result(conn)))

envelope(conn, "anna@example.com", nil, "QUEUE3")
check(accepted(signed(conn, function(name, value) return name == "Subject" and "changed" or value end)), "it was not accepted")
check(result(conn) == "fail", "not fail, but " .. tostring(result(conn)))

envelope(conn, "anna@elsewhere.test", nil, "QUEUE4")
check(accepted(plain(conn, "anna@elsewhere.test")), "it was not accepted")
check(result(conn) == "none", "not none, but " .. tostring(result(conn)))

-- The body in pieces, cut within a line end.
envelope(conn, "anna@example.com", nil, "QUEUE5")
dofile(MESSAGE)
for _, one in ipairs(message.fields) do
    field(conn, one[1], one[2])
end
step(conn, SMFIP_NOEOH, "eoh")
for at = 1, #message.body do
    chunk(conn, message.body:sub(at, at))
end
check(accepted(ended(conn)), "a body of single bytes was not accepted")
check(result(conn) == "pass", "a body of single bytes: not pass, but " .. tostring(result(conn)))
mt.disconnect(conn)
