-- Old and new versions of the protocol, with much and little on offer: the milter takes no more than it is given.
dofile(COMMON)

local ACTIONS = { all = 0x1ff, old = 0x3f, fields = SMFIF_ADDHDRS + SMFIF_CHGHDRS }
local STEPS = { all = 0x1fffff, none = 0, old = 0x7f, skip = SMFIP_SKIP, leading = SMFIP_HDR_LEADSPC, quiet = SMFIP_NR_HDR + SMFIP_NR_BODY }

for version = 2, 6 do
    for actions, offered in pairs(ACTIONS) do
        for steps, possible in pairs(STEPS) do
            local what = "version " .. version .. ", actions " .. actions .. ", steps " .. steps .. ": "
            local conn = open(version, offered, possible)
            for bit = 0, 8 do
                local action = 2 ^ bit
                if math.floor(offered / action) % 2 == 0 then
                    check(not mt.test_action(conn, action), what .. "it wants an action that is not on offer: " .. action)
                end
            end
            for bit = 0, 20 do
                local step = 2 ^ bit
                if math.floor(possible / step) % 2 == 0 then
                    check(not mt.test_option(conn, step), what .. "it wants a step that is not on offer: " .. step)
                end
            end
            greet(conn)
            envelope(conn, "anna@example.com", "anna")
            check(accepted(plain(conn, "anna@example.com")), what .. "it was not accepted")
            check(changed(conn, MT_HDRINSERT, "DKIM-Signature") or changed(conn, MT_HDRADD, "DKIM-Signature"), what .. "not signed")
            mt.disconnect(conn)
        end
    end
end
