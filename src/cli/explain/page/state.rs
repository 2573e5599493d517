//! What is said of a piece of the message: by a word and the form of a line, and by a color besides.

use crate::cli::page::Html;

/// What a signature says of a piece of the message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum State {
    Signed,
    Changed,
    Added,
    Removed,
    Doubtful,
    Unchecked,
    Unsigned,
    Own,
}

impl State {
    /// In the order of the legend.
    pub(super) const ALL: [State; 8] = [
        State::Signed,
        State::Changed,
        State::Added,
        State::Removed,
        State::Doubtful,
        State::Unchecked,
        State::Unsigned,
        State::Own,
    ];

    pub(super) fn class(self) -> &'static str {
        match self {
            State::Signed => "part signed",
            State::Changed => "part changed",
            State::Added => "part added",
            State::Removed => "part removed",
            State::Doubtful => "part doubtful",
            State::Unchecked => "part unchecked",
            State::Unsigned => "part unsigned",
            State::Own => "part own",
        }
    }

    fn word(self) -> &'static str {
        match self {
            State::Signed => "signed",
            State::Changed => "changed",
            State::Added => "added",
            State::Removed => "removed",
            State::Doubtful => "in doubt",
            State::Unchecked => "not checked",
            State::Unsigned => "not signed",
            State::Own => "this signature",
        }
    }

    fn meaning(self) -> &'static str {
        match self {
            State::Signed => "covered by the signature, and as it was signed",
            State::Changed => "covered by the signature, and other than it was signed",
            State::Added => "it was not there when the message was signed",
            State::Removed => "it was signed, and is not there any more",
            State::Doubtful => {
                "covered by a hash that does not fit; where it was changed is not known"
            }
            State::Unchecked => "named by the signature, but there is nothing to hold it against",
            State::Unsigned => "not covered: anybody may have written it",
            State::Own => "the field of the signature that is looked at",
        }
    }

    /// The beginning of a piece: what it is, in words.
    pub(super) fn tag(self, html: &mut Html, what: &str) {
        html.element("p", "tag", |html| {
            if !what.is_empty() {
                html.text(what);
                html.text(": ");
            }
            html.say("b", "", self.word());
        });
    }
}

/// What the colors and lines mean.
pub(super) fn legend(html: &mut Html) {
    html.element("details", "legend", |html| {
        html.say("summary", "", "What the colors and lines mean");
        html.element("dl", "", |html| {
            for state in State::ALL {
                html.element("dt", "", |html| {
                    html.element("span", state.class(), |html| html.say("b", "", state.word()));
                });
                html.say("dd", "", state.meaning());
            }
            html.element("dt", "text", |html| html.say("ins", "", "came"));
            html.say("dd", "", "underlined, in a line with + or ±: it came, and was not signed so");
            html.element("dt", "text", |html| html.say("del", "", "was signed"));
            html.say("dd", "", "struck out, in a line with − or ±: it was signed, and did not come");
            html.element("dt", "text", |html| html.line(b"\xe2\x80\xae\t\xff ", true));
            html.say(
                "dd",
                "",
                "characters that are not seen: their numbers, → for a tab, · for a blank at the end of a line, ↵ for a \
                 line end, \\xff for a byte that is no text",
            );
        });
    });
}
