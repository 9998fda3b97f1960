//! A process of the fleet: its tasks send requests, and it reports how they ended.

use std::io::Write as _;
use std::process::{ExitCode, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use reqwest_middleware::{ClientBuilder, ClientWithMiddleware};
use reqwest_oauth2::{BoxError, UserId, UserSessions};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, Command};
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::sleep;

use crate::counts::ResponseCounts;
use crate::provider::{FleetProvider, app, plain_http};
use crate::shared_store::Place;

/// What a process has to do, in the environment that it is started with.
const TASK: &str = "FLEET_TASK";
/// Between two requests of a task, in the mean.
const PAUSE: Duration = Duration::from_millis(50);
/// Between two reports; what a killed process had not reported is not counted.
const REPORT: Duration = Duration::from_millis(100);
/// How long other sessions wait for one that died while it renewed.
const LEASE: Duration = Duration::from_secs(1);

#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Task {
    client_id: String,
    secret: String,
    dpop: bool,
    token_url: String,
    api_url: String,
    place: Place,
    users: Vec<String>,
    /// How many tasks send requests of each user.
    per_user: usize,
}

impl Task {
    pub(crate) fn new(
        provider: &FleetProvider,
        place: &Place,
        users: &[UserId],
        per_user: usize,
    ) -> Self {
        Self {
            client_id: provider.client_id.clone(),
            secret: provider.secret.clone(),
            dpop: provider.dpop,
            token_url: provider.token_url.clone(),
            api_url: provider.api_url.clone(),
            place: place.clone(),
            users: users.iter().map(|user| user.as_str().to_owned()).collect(),
            per_user,
        }
    }

    pub(crate) fn of_this_process() -> Option<Self> {
        serde_json::from_str(&std::env::var(TASK).ok()?).ok()
    }
}

/// The whole life of the process: until its input ends.
pub(crate) async fn run(task: Task) -> ExitCode {
    match requests(task).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn requests(task: Task) -> Result<(), BoxError> {
    let app = app(&task.client_id, &task.secret, &task.token_url, task.dpop)?;
    let sessions = UserSessions::builder(app)
        .store(task.place.open().await?)
        .configure_sessions(|session| {
            session.lease_ttl(LEASE).backoff(Duration::from_millis(200), Duration::from_secs(1))
        })
        .build();
    let http = client(&sessions, &task.api_url)?;
    let counts = Arc::new(Mutex::new(ResponseCounts::default()));
    let mut tasks = JoinSet::new();
    let users = task.users.iter().map(|user| UserId::from(user.as_str()));
    for user in users.flat_map(|user| std::iter::repeat_n(user, task.per_user)) {
        let (http, counts, url) = (http.clone(), counts.clone(), task.api_url.clone());
        tasks.spawn(async move {
            loop {
                let outcome = http.get(&url).with_extension(user.clone()).send().await;
                let outcome = outcome.map(|response| response.status());
                counts.lock().unwrap_or_else(PoisonError::into_inner).note(outcome);
                // So that tasks of one process do not go in step, any more than processes do.
                sleep(PAUSE.mul_f64(rand::random_range(0.5..1.5))).await;
            }
        });
    }
    let mut input = tokio::io::stdin();
    let ended = input.read_u8();
    tokio::pin!(ended);
    loop {
        let over = tokio::select! {
            _ = &mut ended => true,
            () = sleep(REPORT) => false,
        };
        if over {
            tasks.shutdown().await;
            sessions.shutdown().await?;
        }
        report(&std::mem::take(&mut *counts.lock().unwrap_or_else(PoisonError::into_inner)))?;
        if over {
            return Ok(());
        }
    }
}

/// One line, in one piece: the process may be killed.
fn report(counts: &ResponseCounts) -> Result<(), BoxError> {
    let line = serde_json::to_string(counts)? + "\n";
    let mut output = std::io::stdout().lock();
    output.write_all(line.as_bytes())?;
    Ok(output.flush()?)
}

pub(crate) fn client(
    sessions: &UserSessions,
    api_url: &str,
) -> Result<ClientWithMiddleware, BoxError> {
    let url: reqwest::Url = api_url.parse()?;
    Ok(ClientBuilder::new(plain_http()?).with(sessions.middleware(&url)?).build())
}

/// The processes that share the logins.
pub(crate) struct Fleet {
    task: Task,
    workers: Vec<(Child, JoinHandle<ResponseCounts>)>,
    counts: ResponseCounts,
}

impl Fleet {
    pub(crate) fn start(task: Task, processes: usize) -> Result<Self, BoxError> {
        let mut fleet = Self { task, workers: Vec::new(), counts: ResponseCounts::default() };
        for _ in 0..processes {
            fleet.add()?;
        }
        Ok(fleet)
    }

    pub(crate) fn len(&self) -> usize {
        self.workers.len()
    }

    pub(crate) fn add(&mut self) -> Result<(), BoxError> {
        let mut child = Command::new(std::env::current_exe()?)
            .env(TASK, serde_json::to_string(&self.task)?)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let output = child.stdout.take().ok_or("a child without output")?;
        let reports = tokio::spawn(async move {
            let (mut lines, mut counts) =
                (BufReader::new(output).lines(), ResponseCounts::default());
            while let Ok(Some(line)) = lines.next_line().await {
                // The last line of a killed process may be half a line.
                counts.add(serde_json::from_str(&line).unwrap_or_default());
            }
            counts
        });
        self.workers.push((child, reports));
        Ok(())
    }

    /// SIGKILL, and nothing that the process could do about it.
    pub(crate) async fn kill(&mut self, which: usize) -> Result<(), BoxError> {
        let (mut child, reports) = self.workers.swap_remove(which);
        child.kill().await?;
        self.counts.add(reports.await?);
        Ok(())
    }

    /// Lets all end by themselves, and adds up what they report.
    pub(crate) async fn stop(mut self) -> Result<ResponseCounts, BoxError> {
        for (child, _) in &mut self.workers {
            drop(child.stdin.take());
        }
        for (mut child, reports) in self.workers {
            child.wait().await?;
            self.counts.add(reports.await?);
        }
        Ok(self.counts)
    }
}
