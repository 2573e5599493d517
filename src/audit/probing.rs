//! How the network is asked: what the checks want, all at once, within a time.

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::facts::{Answered, Facts, Probe, Server, Store};
use super::net::{Authorities, Talk, download, greet, offer};
use super::{Audit, CHECKS, CheckReport, Options, providers};
use crate::dns::survey::Surveyor;
use crate::dns::system::Resolver;

/// Who asks.
#[derive(Clone)]
pub struct Probing {
    /// For questions to DNS.
    pub resolver: Resolver,
    /// For DNSSEC, and for what every name server says.
    pub surveyor: Surveyor,
    /// Who is trusted with certificates.
    pub authorities: Authorities,
    /// How long a connection may take; an answer of a mail server may take three times as long.
    pub patience: Duration,
}

/// Something that was asked, and what came of it.
#[derive(Debug, Clone)]
pub struct Probed {
    /// What was asked.
    pub probe: Probe,
    /// What came back; none within the time.
    pub answered: Option<Answered>,
    /// How long it took.
    pub took: Duration,
}

impl Probed {
    /// What was said, line by line, where there was a conversation; it is not escaped.
    pub fn log(&self) -> &[String] {
        match &self.answered {
            Some(Answered::Greeting(greeting)) => &greeting.log,
            Some(Answered::Dialogue(dialogue)) => &dialogue.log,
            Some(Answered::Https(download)) => &download.log,
            _ => &[],
        }
    }
}

/// This part of the budget is left for what is under way at the end of it.
const GRACE: u32 = 20;

/// Runs all checks, and tells `watch` each thing that was asked of the network when it is done.
///
/// It ends within the budget: what has no answer by then is not known, and the checks say so.
///
/// # Panics
/// Outside a tokio runtime with I/O and time enabled.
pub async fn run(options: &Options, probing: &Probing, mut watch: impl FnMut(&Probed)) -> Audit {
    let deadline = Instant::now() + options.budget;
    let mut store = Store::default();
    let mut reports: Vec<Option<CheckReport>> = CHECKS.iter().map(|_| None).collect();
    let mut running: JoinSet<(Probe, Answered, Duration)> = JoinSet::new();
    let mut began: HashMap<Probe, Instant> = HashMap::new();
    let turns = Arc::new(Turns::default());
    let surveyor = probing.surveyor.clone().among_strangers(MAX_CONTACTS);
    let probing = Probing {
        surveyor,
        ..probing.clone()
    };
    let talk = Arc::new(Talk {
        helo: options.helo.clone(),
        now: options.now,
        authorities: probing.authorities.clone(),
        patience: probing.patience,
        // What servers have shown by then is still told.
        deadline: deadline - options.budget / GRACE,
    });
    let mut open = true;
    loop {
        // Answers that come one after the other never let it wait.
        if open && Instant::now() >= deadline {
            open = false;
            end(&mut running, &mut store, &mut began, &mut watch);
        }
        for (check, report) in CHECKS.iter().zip(&mut reports) {
            if report.is_some() {
                continue;
            }
            let facts = Facts::new(options, &store);
            *report = (check.judge)(&facts).ok();
            debug_assert!(
                report
                    .as_ref()
                    .is_none_or(|report| report.check == check.name)
            );
            for probe in facts.into_wanted() {
                store.note(probe.clone());
                began.insert(probe.clone(), Instant::now());
                let (probing, turns, talk) = (probing.clone(), turns.clone(), talk.clone());
                running.spawn(async move {
                    let began = Instant::now();
                    let answered = probing.answer(&probe, &turns, &talk).await;
                    (probe, answered, began.elapsed())
                });
            }
        }
        if reports.iter().all(Option::is_some) {
            break;
        }
        match timeout_at(deadline, running.join_next()).await {
            Ok(Some(done)) => {
                // All that is there by now is told before the checks are called again.
                let more = std::iter::from_fn(|| running.try_join_next());
                // A probe that panics has no answer.
                for (probe, answered, took) in std::iter::once(done).chain(more).flatten() {
                    began.remove(&probe);
                    watch(&Probed {
                        probe: probe.clone(),
                        answered: Some(answered.clone()),
                        took,
                    });
                    store.tell(probe, answered);
                }
            }
            Ok(None) | Err(_) => {
                open = false;
                end(&mut running, &mut store, &mut began, &mut watch);
            }
        }
    }
    let mut reports: Vec<CheckReport> = reports.into_iter().flatten().collect();
    reports.push(providers::judge(&reports));
    Audit::new(&options.domain, reports)
}

/// Waits for nothing more: what is under way has no answer.
fn end(
    running: &mut JoinSet<(Probe, Answered, Duration)>,
    store: &mut Store,
    began: &mut HashMap<Probe, Instant>,
    watch: &mut impl FnMut(&Probed),
) {
    running.abort_all();
    store.close();
    for (probe, began) in began.drain() {
        watch(&Probed {
            probe,
            answered: None,
            took: began.elapsed(),
        });
    }
}

impl Probing {
    async fn answer(&self, probe: &Probe, turns: &Turns, talk: &Talk) -> Answered {
        match probe {
            Probe::Dns(question) => {
                let _turn = turns.dns().await;
                Answered::Dns(self.resolver.find(question).await)
            }
            Probe::Proof(question) => {
                let _turn = turns.survey().await;
                Answered::Proof(self.surveyor.proof(question).await)
            }
            Probe::Key(name) => {
                let _turn = turns.survey().await;
                Answered::Key(Some(Arc::new(self.surveyor.survey(name).await)))
            }
            Probe::Greeting(server) => {
                let _turn = turns.server(server).await;
                Answered::Greeting(Arc::new(greet(server, talk).await))
            }
            Probe::Dialogue(server, envelopes) => {
                let _turn = turns.server(server).await;
                Answered::Dialogue(Arc::new(offer(server, envelopes, talk).await))
            }
            Probe::Https(host, path, addresses) => {
                Answered::Https(Arc::new(download(host, path, addresses, talk).await))
            }
        }
    }
}

/// Who waits for whom: a server gets one connection at a time, and DNS so many questions.
struct Turns {
    dns: Semaphore,
    surveys: Semaphore,
    servers: std::sync::Mutex<HashMap<SocketAddr, Arc<Semaphore>>>,
}

/// So many questions to DNS are under way at most.
const MAX_QUESTIONS: usize = 64;
/// So many surveys and proofs, each of some dozens of questions, are under way at most.
const MAX_SURVEYS: usize = 8;
/// So often name servers that the domain's DNS leads to are asked, each time with a handful of questions.
const MAX_CONTACTS: usize = 512;

impl Default for Turns {
    fn default() -> Turns {
        Turns {
            dns: Semaphore::new(MAX_QUESTIONS),
            surveys: Semaphore::new(MAX_SURVEYS),
            servers: std::sync::Mutex::default(),
        }
    }
}

impl Turns {
    async fn dns(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.dns.acquire().await.ok()
    }

    async fn survey(&self) -> Option<tokio::sync::SemaphorePermit<'_>> {
        self.surveys.acquire().await.ok()
    }

    /// The turn of a connection to `server`.
    async fn server(&self, server: &Server) -> Option<tokio::sync::OwnedSemaphorePermit> {
        let gate = {
            let mut servers = self
                .servers
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            let gate = servers.entry(server.address);
            gate.or_insert_with(|| Arc::new(Semaphore::new(1))).clone()
        };
        gate.acquire_owned().await.ok()
    }
}

impl fmt::Debug for Probing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Probing")
            .field("resolver", &self.resolver)
            .field("patience", &self.patience)
            .finish_non_exhaustive()
    }
}
