//! `dkimkit arc seal`: the message that came, with the next set of its chain before it.

use std::path::PathBuf;

use dkimkit::arc::{ArcBodyVerifier, ArcVerifier, ChainStatus, SealError, SealOptions, Sealer};
use dkimkit::author::Authors;
use dkimkit::authres::{AuthservId, FIELD_NAME, own_results};
use dkimkit::canon::Canonicalization;
use dkimkit::message::Header;
use dkimkit::report::ResultWord;
use dkimkit::sign::SigningIdentity;

use crate::cli::Exit;
use crate::cli::args::{ClockArgs, KeyArgs, ReadArgs, StoreArgs, canonicalization};
use crate::cli::examine::authserv_id;
use crate::cli::input::Source;
use crate::cli::published::{LookupArgs, Published};
use crate::cli::rewriting::Rewriting;
use crate::cli::sign::{Names, load, names};
use crate::cli::speech::{self, Trouble};

/// Seal a message: it comes out as it came, with the three fields of the next ARC set before it
#[derive(Debug, clap::Args)]
#[command(after_help = "Examples:
  dkimkit arc seal -d example.org -s arc --authserv-id mx.example.org < in.eml > out.eml
  dkimkit arc seal -d example.org -s arc -k arc.pem --authserv-id mx.example.org \\
      --authentication-results 'dkim=pass header.d=example.com' in.eml -o out.eml

The chain that is there is verified first; where DNS gives no answer for now, nothing is sealed (exit 75). A chain that
failed is sealed once, with cv=fail, and never again (RFC 8617, section 5.1). Change the message and sign it before it
is sealed, not after.")]
pub(super) struct Args {
    #[command(flatten)]
    key: KeyArgs,
    /// The private key file; that of the key store if left out
    #[arg(short, long = "key", value_name = "KEY.pem")]
    key_file: Option<PathBuf>,
    #[command(flatten)]
    store: StoreArgs,
    /// In whose name the results are told
    #[arg(long, value_name = "NAME", value_parser = authserv_id)]
    authserv_id: AuthservId,
    /// What was found of the message as it came in, as in Authentication-Results; if left out, what the fields of
    /// --authserv-id above the first Received field say. Whoever takes mail in must remove those that came with it
    #[arg(long, value_name = "TEXT")]
    authentication_results: Option<String>,
    /// Take such fields below so many Received fields, too, which must be those of your own servers: OpenDKIM and OpenDMARC
    /// put theirs below that of Postfix
    #[arg(
        long,
        value_name = "COUNT",
        default_value_t = 0,
        conflicts_with = "authentication_results"
    )]
    below_received: usize,
    /// Take this for the status of the chain that is there, and do not verify it
    #[arg(long, value_name = "none|pass|fail", value_parser = status)]
    cv: Option<ChainStatus>,
    #[command(flatten)]
    lookup: LookupArgs,
    /// The canonicalization of header and body (c=)
    #[arg(long, value_name = "HEADER/BODY", default_value = "relaxed/relaxed", value_parser = canonicalization)]
    canon: Canonicalization,
    /// The fields that the message signature covers, with colons between them, instead of the default ones
    #[arg(long, value_name = "LIST", value_parser = names)]
    headers: Option<Names>,
    /// Print the ARC fields alone
    #[arg(long)]
    header_only: bool,
    /// Write to this file, which appears whole or not at all
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    /// Replace an existing output file
    #[arg(long)]
    force: bool,
    #[command(flatten)]
    clock: ClockArgs,
    #[command(flatten)]
    read: ReadArgs,
    /// The message; - or none is standard input
    message: Option<PathBuf>,
}

fn status(text: &str) -> Result<ChainStatus, String> {
    ChainStatus::from_word(text).ok_or_else(|| "not none, pass or fail".to_owned())
}

pub(super) fn run(args: &Args) -> Result<Exit, Trouble> {
    let source = match &args.message {
        Some(path) => Source::from_arg(path),
        None => Source::Stdin,
    };
    let KeyArgs { domain, selector } = &args.key;
    let path = match &args.key_file {
        Some(path) => path.clone(),
        None => args.store.store().pem_path(domain, selector),
    };
    let identity = SigningIdentity::new(domain.clone(), selector.clone(), load(&path)?);
    let published = match args.cv {
        Some(_) => None,
        None => Some(Published::of(&args.lookup, None)?),
    };
    let rewriting = Rewriting {
        destination: args.output.clone(),
        fields_only: args.header_only,
        force: args.force,
        follow: true,
        line_ends: args.read.line_ends,
    };
    let job = Job {
        args,
        published,
        identity,
    };
    let name = source.name();
    rewriting
        .run(
            &mut source.open()?,
            |header, _| job.begin(header),
            |sealing, chunk| sealing.write(chunk.hashed),
            |sealing| job.end(sealing),
        )
        .map_err(|trouble| trouble.about(&name))?;
    Ok(Exit::Done)
}

struct Job<'a> {
    args: &'a Args,
    published: Option<Published>,
    identity: SigningIdentity,
}

/// A message whose body comes: it is verified and sealed in one pass.
struct Sealing {
    sealer: Sealer,
    verifier: Option<ArcBodyVerifier>,
    results: String,
}

impl Sealing {
    fn write(&mut self, chunk: &[u8]) {
        self.sealer.write(chunk);
        if let Some(verifier) = &mut self.verifier {
            let _ = verifier.write(chunk);
        }
    }
}

impl Job<'_> {
    fn begin(&self, header: Header) -> Result<Sealing, Trouble> {
        // Whoever seals tells what came, a broken message too; but those behind refuse it.
        match Authors::of(&header).fields() {
            1 => {}
            0 => speech::warning(
                "the message has no From field, and the seal says nothing of who wrote it",
            ),
            count => speech::warning(format!(
                "the message has {count} From fields; readers show one of them, and `arc verify --policy strict` refuses the set"
            )),
        }
        let options = SealOptions::new(self.args.clock.now()).with(|options| {
            options.canonicalization = self.args.canon;
            if let Some(Names(names)) = &self.args.headers {
                options.restrict_to(names);
            }
        });
        Ok(Sealing {
            results: self.results(&header)?,
            sealer: Sealer::new(&header, self.identity.clone(), &options)?,
            verifier: match &self.published {
                Some(published) => Some(self.verifier(header, published)?),
                None => None,
            },
        })
    }

    fn verifier(&self, header: Header, published: &Published) -> Result<ArcBodyVerifier, Trouble> {
        let policy = published.policy.clone();
        let mut verifier = ArcVerifier::new(header, policy, self.args.clock.now());
        for (name, keys) in published.keys(verifier.wanted())? {
            verifier.supply_keys(&name, keys);
        }
        Ok(verifier.start_body())
    }

    /// What the set is to tell of the message as it came in.
    fn results(&self, header: &Header) -> Result<String, Trouble> {
        if let Some(results) = &self.args.authentication_results {
            return Ok(results.clone());
        }
        let id = &self.args.authserv_id;
        let own = own_results(id, header, self.args.below_received);
        let id = id.as_str();
        if own.below > 0 {
            speech::warning(format!(
                "{FIELD_NAME} of {id} below Received is left out ({}): it may have come from outside",
                own.below
            ));
            speech::hint(
                "--below-received COUNT takes what stands below Received fields of your own servers",
            );
        }
        if own.unreadable > 0 {
            speech::warning(format!(
                "what {FIELD_NAME} of {id} say is left out where it is against the grammar (RFC 8601), or holds an invisible character or a word longer than a line ({})",
                own.unreadable
            ));
        }
        // Who sends a message must not keep it from being sealed: nothing is told of it then.
        let none = (own.unreadable > 0).then(|| "none".to_owned());
        let text = own.text.or(none);
        if text.is_some() && !header.fields().any(|field| field.is("Received")) {
            speech::warning(format!(
                "the message has no Received field, so {FIELD_NAME} of {id} may have come with it"
            ));
            speech::hint(
                "seal what your own server has received, or give --authentication-results",
            );
        }
        text.ok_or_else(|| {
            Trouble::usage(format!("the message has no {FIELD_NAME} field of {id}"))
                .hint("--authentication-results TEXT says what was found of it; none says that nobody looked")
        })
    }

    fn end(&self, sealing: Sealing) -> Result<Vec<String>, Trouble> {
        let status = match (self.args.cv, sealing.verifier) {
            (Some(status), _) => status,
            (None, verifier) => {
                let report = verifier
                    .expect("without --cv the chain is verified")
                    .finish();
                if report.result() == ResultWord::TempError {
                    let detail = report.detail();
                    let message = format!("the chain cannot be verified for now: {detail}");
                    return Err(Trouble::new(Exit::TempFail, message)
                        .hint("--cv fail seals it all the same (RFC 8617, section 5.2.1)"));
                }
                report.status()
            }
        };
        let id = &self.args.authserv_id;
        let sealed = sealing.sealer.finish(status, id, &sealing.results)?;
        Ok(sealed.fields().map(str::to_owned).to_vec())
    }
}

impl From<SealError> for Trouble {
    fn from(error: SealError) -> Trouble {
        if let SealError::Sign(error) = error {
            return error.into();
        }
        let trouble = Trouble::usage(&error);
        match error {
            SealError::AlreadyFailed | SealError::TooManySets | SealError::BeyondLimit(_) => {
                trouble.hint("pass the message on as it is (RFC 8617, section 5.1)")
            }
            SealError::Status { .. } | SealError::Broken(_) => {
                trouble.hint("leave --cv out, and the chain is verified")
            }
            SealError::Results(_) => trouble.hint(
                "--authentication-results takes what stands behind the authserv-id: 'dkim=pass header.d=example.com; spf=none'",
            ),
            _ => trouble,
        }
    }
}
