-- Fields that claim to be ours are deleted, those of others are not.
dofile(COMMON)

local conn = open(6, nil, nil)
greet(conn)
envelope(conn, "anna@elsewhere.test")
field(conn, "Authentication-Results", "mx.test; dkim=pass header.d=bank.test")
check(accepted(plain(conn, "anna@elsewhere.test")), "it was not accepted")
check(changed(conn, MT_HDRDELETE, "Authentication-Results"), "the forged field was not deleted")
check(changed(conn, MT_HDRINSERT, "Authentication-Results"), "ours was not inserted")

envelope(conn, "anna@elsewhere.test", nil, "QUEUE2")
field(conn, "Authentication-Results", "other.test; dkim=pass header.d=bank.test")
check(accepted(plain(conn, "anna@elsewhere.test")), "it was not accepted")
check(not changed(conn, MT_HDRDELETE), "the field of another was deleted")

envelope(conn, "anna@elsewhere.test", nil, "QUEUE3")
field(conn, "authentication-results", "(comment)\n mx.test (x) 1;\n\tdkim=pass header.d=bank.test")
check(accepted(plain(conn, "anna@elsewhere.test")), "it was not accepted")
check(changed(conn, MT_HDRDELETE, "authentication-results") or changed(conn, MT_HDRDELETE, "Authentication-Results"), "the folded one was not deleted")
mt.disconnect(conn)
