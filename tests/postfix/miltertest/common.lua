-- What all scripts share: a connection, a message with its replies, and a check that ends the script.
--
-- SOCKET is where the milter listens; MESSAGE is a Lua file with a signed message: fields, body.

function check(holds, what)
    if not holds then
        error(what, 2)
    end
end

-- Whether the milter has accepted the message before its end: then an MTA tells it no more, and nothing is changed.
local early = false

function open(version, actions, steps)
    early = false
    local conn = mt.connect(SOCKET, 20, 0.1)
    check(conn, "no connection")
    if version then
        -- Its manual has the actions first; the program sends the second number as steps.
        local problem = mt.negotiate(conn, version, steps, actions)
        check(problem == nil, "negotiation: " .. tostring(problem))
    end
    return conn
end

-- One step of the protocol, unless the milter has said that it wants to know nothing of it.
function step(conn, unwanted, name, ...)
    if early or (unwanted and mt.test_option(conn, unwanted)) then
        return
    end
    local problem = mt[name](conn, ...)
    check(problem == nil, name .. ": " .. tostring(problem))
    early = mt.getreply(conn) == SMFIR_ACCEPT
    check(early or mt.getreply(conn) == SMFIR_CONTINUE, name .. " was refused: " .. mt.getreply(conn))
end

-- Whether the milter has made such a change at the end of the message.
function changed(conn, ...)
    return not early and mt.eom_check(conn, ...)
end

-- A client from the world, or from `ip`.
function greet(conn, ip)
    step(conn, SMFIP_NOCONNECT, "conninfo", "client.test", ip or "192.0.2.1")
    step(conn, SMFIP_NOHELO, "helo", "client.test")
end

-- The envelope; with a login it is one of our users.
function envelope(conn, sender, login, id)
    early = false
    if login then
        mt.macro(conn, SMFIC_MAIL, "i", id or "QUEUE1", "{auth_authen}", login, "{auth_type}", "PLAIN")
    else
        mt.macro(conn, SMFIC_MAIL, "i", id or "QUEUE1")
    end
    step(conn, SMFIP_NOMAIL, "mailfrom", "<" .. sender .. ">")
    step(conn, SMFIP_NORCPT, "rcptto", "<bob@sink.test>")
    step(conn, SMFIP_NODATA, "data")
end

-- Whether the milter wants values with their leading blank decides how an MTA sends them.
function field(conn, name, value)
    if mt.test_option(conn, SMFIP_HDR_LEADSPC) then
        value = " " .. value
    end
    step(conn, SMFIP_NOHDRS, "header", name, value)
end

-- A part of the body; after SKIP the milter is told no more of it.
function chunk(conn, body)
    if early or mt.test_option(conn, SMFIP_NOBODY) then
        return
    end
    check(mt.bodystring(conn, body) == nil, "body")
    local reply = mt.getreply(conn)
    early = reply == SMFIR_ACCEPT
    check(early or reply == SMFIR_CONTINUE or reply == SMFIR_SKIP, "body was refused: " .. reply)
end

-- The end of the message, and the reply to it.
function ended(conn)
    if early then
        return SMFIR_ACCEPT
    end
    check(mt.eom(conn) == nil, "eom")
    return mt.getreply(conn)
end

-- The header and the body are through; the reply at the end.
function finish(conn, body)
    step(conn, SMFIP_NOEOH, "eoh")
    if body then
        chunk(conn, body)
    end
    return ended(conn)
end

-- A message of ours, plain; the reply at its end.
function plain(conn, author, body)
    field(conn, "From", author)
    field(conn, "To", "bob@sink.test")
    field(conn, "Subject", "hello")
    field(conn, "Date", "Tue, 02 Jan 2024 10:00:00 +0000")
    field(conn, "Message-ID", "<1@client.test>")
    return finish(conn, body or "Hello.\r\n")
end

-- The message of MESSAGE, with `change(name, value)` for each field.
function signed(conn, change, body)
    dofile(MESSAGE)
    for _, one in ipairs(message.fields) do
        local value = one[2]
        if change then
            value = change(one[1], value)
        end
        field(conn, one[1], value)
    end
    return finish(conn, body or message.body)
end

function accepted(reply)
    return reply == SMFIR_CONTINUE or reply == SMFIR_ACCEPT
end
