//! What happens to the milter while the mail goes through it.

use std::io;
use std::time::Duration;

use tokio::time::sleep;

use crate::Soak;
use crate::mail::OWN;
use crate::process::Usage;

/// A reload, at least, after so many messages.
const EVERY: usize = 1000;
/// What an allocator may keep.
const MAY_GROW_KIB: u64 = 6 * 1024;
/// What a resolver may keep.
const MAY_STAY_OPEN: usize = 4;

impl Soak {
    /// The first key, and the milter.
    pub(crate) async fn first_key(&self) -> io::Result<()> {
        self.generate("k0").await?;
        self.daemon.start().await?;
        self.keys.signs("k0");
        Ok(())
    }

    /// Rotates every thousand messages, with name servers out of order in every other thousand; ends, kills and
    /// misconfigures the milter in the first half, and watches its memory in the second.
    pub(crate) async fn conduct(self: std::rc::Rc<Soak>) {
        let every = EVERY.min(self.messages / 8);
        let rounds = self.messages / every;
        let calm = rounds / 2;
        let mut before = None;
        for round in 1..rounds {
            if !self.comes_to(round * every).await {
                return;
            }
            self.names.outage.set(round % 2 == 1);
            let done = self.disturb(round, calm).await;
            if let Err(error) = done {
                return self.fail(&format!("round {round}: {error}"));
            }
            // From then on one process is left alone for a while.
            if round == calm + (rounds - calm) / 3 {
                before = Some(Usage::of(self.daemon.pid()));
            }
        }
        self.names.outage.set(false);
        if !self.comes_to(self.messages).await {
            return;
        }
        // The last sessions say QUIT.
        sleep(Duration::from_millis(300)).await;
        let (before, after) = (before.unwrap_or_default(), Usage::of(self.daemon.pid()));
        let idle = self.daemon.files_at_start();
        println!(
            "memory {} KiB, then {} KiB; {idle} open files before the first session, then {}",
            before.rss, after.rss, after.files
        );
        self.holds("memory grows", after.rss <= before.rss + MAY_GROW_KIB);
        self.holds("files stay open", after.files <= idle + MAY_STAY_OPEN);
        if let Err(error) = self.daemon.end().await {
            self.fail(&format!("the last end: {error}"));
        }
    }

    async fn disturb(&self, round: usize, calm: usize) -> io::Result<()> {
        self.rotate(round).await?;
        if round >= calm {
            return Ok(());
        }
        match round % 3 {
            0 => self.daemon.reload_nonsense().await,
            1 => {
                self.daemon.kill().await?;
                self.daemon.start().await
            }
            _ => {
                self.daemon.end().await?;
                self.daemon.start().await
            }
        }
    }

    /// Another key signs, and after that the one before no longer.
    async fn rotate(&self, round: usize) -> io::Result<()> {
        let (old, new) = (format!("k{}", round - 1), format!("k{round}"));
        self.generate(&new).await?;
        self.daemon
            .dkimkit(&["keys", "activate", OWN, &new])
            .await?;
        self.daemon.reload().await?;
        self.keys.signs(&new);
        self.keys.leaves(&old);
        self.daemon.dkimkit(&["keys", "retire", OWN, &old]).await?;
        self.daemon.reload().await?;
        self.keys.gone(&old);
        Ok(())
    }

    /// Every fourth one is RSA, which takes long to make.
    async fn generate(&self, selector: &str) -> io::Result<()> {
        let number: usize = selector[1..].parse().unwrap_or_default();
        let algorithm = if number.is_multiple_of(4) {
            "rsa"
        } else {
            "ed25519"
        };
        let words = [
            "generate",
            "-d",
            OWN,
            "-s",
            selector,
            "--algorithm",
            algorithm,
        ];
        self.daemon.dkimkit(&words).await?;
        self.keys.comes(selector);
        Ok(())
    }

    /// Waits until so many messages are answered, or lost; false where that will not be.
    async fn comes_to(&self, count: usize) -> bool {
        while self.answered.get() + self.lost.get() < count {
            if self.failed.get() >= crate::TOLD {
                return false;
            }
            sleep(Duration::from_millis(5)).await;
        }
        true
    }
}
