//! What lists and gateways add, in the manner of the known ones, in several languages and styles.

use crate::random::Random;
use crate::words;

/// Lines with LF; `%` stands for something that differs from message to message.
const FOOTERS: [&str; 16] = [
    "_______________________________________________\nKitchen mailing list\nKitchen@lists.example\nhttps://lists.example/mailman/listinfo/kitchen\n",
    "_______________________________________________\nKitchen mailing list -- kitchen@lists.example\nTo leave the list, write to kitchen-leave@lists.example\n%(unsubscribe)s\n",
    "-- \nYou get this because you joined the group \"Kitchen\".\nTo leave it, write to kitchen+unsubscribe@groups.example.\nThe discussion on the web: https://groups.example/d/msgid/kitchen/%.\n",
    "\n-=-=-=-=-=-=-=-=-=-=-=-\nLinks: Read it on the web (#%): https://groups.example/g/kitchen/message/%\nMute this topic: https://groups.example/mt/%/21\n-=-=-=-=-=-=-=-=-=-=-=-\n",
    "\nThis e-mail and its attachments are meant for the addressee alone. If you are not the addressee, destroy it and tell the sender. Views in it are those of the writer, not of the company.\n",
    "\n\n---\nNo virus was found in this mail.\nChecked by Scanner Free.\nhttps://scanner.example\n",
    "----------------------------------------------------------------------\nScanned for viruses and dangerous content by MailGuard, and\nbelieved to be clean. [%]\n",
    "\n--\nDiese Nachricht ist vertraulich und nur für den Empfänger bestimmt.\nGeschäftsführer: K. Weber, Amtsgericht Köln HRB %\n",
    "\n--\nDiese Nachricht wurde auf Viren geprueft.\nGeschaeftsfuehrer: K. Weber, Amtsgericht Koeln HRB %\n",
    "\n__________\nCe message est confidentiel. S'il ne vous est pas destine, merci de le detruire et d'en avertir l'expediteur.\n",
    "\n************************************************************\nEste mensaje va dirigido exclusivamente a su destinatario.\nAntes de imprimirlo, piense en el medio ambiente.\n************************************************************\n",
    "\n--- \nWeer af van deze lijst: stuur een bericht naar keuken-uit@lijst.example\n",
    "\n########################################################################\n\nTo leave the KITCHEN list:\nwrite to: KITCHEN-SIGNOFF-REQUEST@LISTSERV.EXAMPLE\nor click: https://listserv.example/scripts/wa.exe?SUBED1=KITCHEN&A=%\n",
    "\n\n------------------------------------\nPosted by: reader %\n------------------------------------\n\nVisit the group: http://groups.example/kitchen\n",
    "--\nTo UNSUBSCRIBE, email to kitchen-request@lists.example\nwith a subject of \"unsubscribe\". Trouble? Contact owner@lists.example\n",
    "--\nTo unsubscribe from this list: send the line \"unsubscribe kitchen\" in\nthe body of a message to majordomo@lists.example\n\n",
];

const BANNERS: [&str; 8] = [
    "CAUTION: This email came from outside of the organisation. Do not click links or open attachments unless you know the sender.\n\n",
    "[EXTERNAL EMAIL] Think before you click.\n\n",
    "*** This message was sent from the internet: % ***\n\n",
    "ACHTUNG: Diese E-Mail kommt von einem externen Absender.\n\n",
    "ATTENTION : ce courriel provient de l'exterieur.\n________________________________\n\n",
    "----- Forwarded by the office, case % -----\n",
    "Spam detection software has looked at this mail.\n\nPoints: 5.3\n",
    "> This sender is new to you.\n\n",
];

const PAGES: [&str; 8] = [
    "<br><br><hr><font size=\"1\" color=\"gray\">This e-mail is meant for the addressee alone. (%)</font>",
    "<div id=\"DAB4FAD8-2DD7-40BB\"><br><table style=\"border-top:1px solid #D3D4DE\">\n<tr><td style=\"width:55px\"><img src=\"https://scanner.example/icon.gif\" width=\"46\" height=\"29\"></td>\n<td>No virus was found. <a href=\"https://scanner.example/?id=%\">scanner.example</a></td></tr>\n</table></div>",
    "<p>&nbsp;</p>\n\n-- <br>\nYou get this because you joined the group &quot;Kitchen&quot;.<br>\nTo leave it, write to <a href=\"mailto:kitchen+unsubscribe@groups.example\">kitchen+unsubscribe@groups.example</a>.<br>\n",
    "<br />-- \n<br />Scanned by \n<a href=\"http://mailguard.example/\"><b>MailGuard</b></a>, and is\n<br />believed to be clean.\n",
    "<P><FONT face=Arial size=2>Diese Nachricht ist vertraulich.</FONT></P>",
    "<div width=\"1\" style=\"color:white;clear:both\">_._,_._,_</div><hr>Links:<p><a href=\"https://groups.example/g/kitchen/message/%\">Read it</a></p>",
    "<img src=\"https://track.example/o/%.gif\" width=\"1\" height=\"1\" alt=\"\">",
    "<br>\n<p style=\"font-size:9pt\">Avant d'imprimer, pensez &agrave; l'environnement.</p>\n",
];

const PAGE_BANNERS: [&str; 5] = [
    "<div style=\"background-color:#FFEB9C; width:100%; border:1pt solid #9C6500; padding:2pt\"><b>CAUTION:</b> This email came from outside.</div><br>",
    "<table border=\"0\" cellspacing=\"0\" cellpadding=\"0\" align=\"left\" width=\"100%\"><tr><td style=\"background:#910A19\">&nbsp;</td><td>You do not often get mail from this sender. <a href=\"https://aka.example/why\">Why this matters</a></td></tr></table>\n<div>",
    "<p><span style=\"color:red\">[EXTERNAL]</span></p>\n",
    "<!-- banner-start % --><div>ACHTUNG: externer Absender</div><!-- banner-end -->\n",
    "<p style=\"color:#c00\">Expéditeur externe : soyez prudent.</p>",
];

/// As lists and filters tag Subject; `%` is a number.
pub(crate) const TAGS: [&str; 16] = [
    "[Kitchen] ",
    "[kitchen-dev] ",
    "[EXTERNAL] ",
    "[EXT] ",
    "[EXT]: ",
    "EXTERNAL: ",
    "***SPAM*** ",
    "*****SPAM***** ",
    "[SPAM] ",
    "{Spam?} ",
    "[Bulk] ",
    "[kitchen:%] ",
    "[kitchen %] ",
    "(kitchen) ",
    "SPAM(7.%) ",
    "[!! SPAM] ",
];

pub(crate) const END_TAGS: [&str; 4] = [" [SEC=OFFICIAL]", " (fwd)", " [kitchen]", " - EXTERNAL"];

fn filled(rng: &mut Random, text: &str) -> String {
    let mut out = String::new();
    for (at, piece) in text.split('%').enumerate() {
        let percent = piece.starts_with([';', '(', '"']) && at > 0;
        if percent {
            out.push('%');
        } else if at > 0 {
            out.push_str(&words::token(rng, 9));
        }
        out.push_str(piece);
    }
    out.replace('\n', "\r\n")
}

pub(crate) fn footer(rng: &mut Random) -> String {
    let text = *rng.pick(&FOOTERS);
    filled(rng, text)
}

/// One without characters beyond ASCII.
pub(crate) fn ascii_footer(rng: &mut Random) -> String {
    loop {
        let footer = footer(rng);
        if footer.is_ascii() {
            return footer;
        }
    }
}

pub(crate) fn banner(rng: &mut Random) -> String {
    let text = *rng.pick(&BANNERS);
    filled(rng, text)
}

pub(crate) fn page(rng: &mut Random) -> String {
    let text = *rng.pick(&PAGES);
    filled(rng, text)
}

pub(crate) fn page_banner(rng: &mut Random) -> String {
    let text = *rng.pick(&PAGE_BANNERS);
    filled(rng, text)
}

pub(crate) fn tag(rng: &mut Random) -> String {
    let tag = *rng.pick(&TAGS);
    tag.replace('%', &(rng.below(9000) + 1).to_string())
}
