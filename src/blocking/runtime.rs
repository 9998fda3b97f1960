//! `Runtime`: a thread that drives sockets, timers and renewals for blocking callers.
//!
//! # Concurrency
//!
//! - A call polls its future on the thread of its caller, who parks until it is woken. What the future spawns
//!   (renewals, saves) runs on the runtime's thread, as do its sockets and timers. So a renewal goes on even
//!   if its caller goes away.
//! - A wake-up sets a flag of its own. Other code that parks this thread while it polls (a call within a call,
//!   a channel of the standard library) may take the thread's own token.
//! - A call never uses the caller's own runtime. It works within async code too, and blocks the calling
//!   thread until it is done.
//! - One thread cannot wait for itself: on the runtime's own thread (in a saver, a grant or a future of
//!   [`tokio::spawn`]) a call is an error, and dropping the last handle does not wait.
//! - The last handle of a session may be in a thread-local variable. When its thread ends, another thread waits
//!   for the sessions ([`owned`](super::owned)). On Windows nobody waits for that one: a thread that ends holds a
//!   lock there that others need to begin and to end.
//! - The thread ends with the last handle, whose drop waits for that. It drops what is still running,
//!   so the last handle of a session, or of an API, waits for its sessions first ([`owned`](super::owned)).

use std::fmt;
use std::future::Future;
use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, JoinHandle, Thread};

use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;

use super::{Api, Session};
use crate::error::Error;
use crate::{request, session};

/// A Tokio runtime with a thread of its own, for programs without async. Cheap to clone; clones are the same
/// runtime. The thread ends with the last of them, and of the sessions and APIs made with it.
///
/// Its calls work in async code too, but block the thread. Use [`Session`](crate::Session) there.
#[derive(Clone)]
pub struct Runtime(Arc<Driving>);

struct Driving {
    handle: Handle,
    /// Both are there until the end.
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Runtime {
    /// Starts the thread.
    ///
    /// # Errors
    ///
    /// The operating system cannot create a thread, or the means to wait for sockets.
    pub fn new() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel();
        let thread = thread::Builder::new().name("reqwest-oauth2".into()).spawn(move || {
            // Either way the last handle is gone.
            let _ = runtime.block_on(stopped);
            runtime.shutdown_background();
        })?;
        Ok(Self(Arc::new(Driving { handle, stop: Some(stop), thread: Some(thread) })))
    }

    /// Waits for a future: for logins, discovery, [`UserSessions`](crate::UserSessions), and everything else
    /// that has no blocking method.
    ///
    /// ```no_run
    /// # fn f(runtime: reqwest_oauth2::blocking::Runtime) -> Result<(), reqwest_oauth2::Error> {
    /// use reqwest_oauth2::OAuthClient;
    ///
    /// let app = runtime.block_on(OAuthClient::discover("https://accounts.example", "my-tool"))?;
    /// let mut login = runtime.block_on(app.device_authorization().begin())?;
    /// println!("open {} and type in {}", login.verification_uri(), login.user_code());
    /// let token = runtime.block_on(login.wait())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Those of the future; [`Error::is_config`] on the runtime's own thread, as in a saver, and in a
    /// destructor of a thread-local variable.
    pub fn block_on<T, E: From<Error>>(
        &self,
        future: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        self.expect_another_thread()?;
        if is_thread_ending() {
            return Err(Error::config(
                "a call that blocks was made while its thread ends, in a destructor of a thread-local variable; make it before",
            )
            .into());
        }
        let _entered = self.0.handle.enter();
        let mut future = pin!(future);
        let wakeup =
            Arc::new(Wakeup { thread: thread::current(), has_come: AtomicBool::new(false) });
        let waker = Waker::from(wakeup.clone());
        let mut context = Context::from_waker(&waker);
        loop {
            if let Poll::Ready(result) = future.as_mut().poll(&mut context) {
                return result;
            }
            while !wakeup.has_come.swap(false, Ordering::Acquire) {
                thread::park();
            }
        }
    }

    /// The session, for calls that block. Its renewals run here.
    #[must_use]
    pub fn session(&self, session: session::Session) -> Session {
        Session::new(session, self.clone())
    }

    /// The API, for requests that block: for one with listed origins, its own rule, or many users. Make it once:
    /// dropping its last clone waits for running renewals and saves, of all users.
    #[must_use]
    pub fn api(&self, api: request::Api) -> Api {
        Api::new(api, self.clone())
    }

    /// Whether a call may block this thread without stopping the runtime.
    pub(super) fn expect_another_thread(&self) -> Result<(), Error> {
        if self.0.is_own_thread() {
            return Err(Error::config(
                "a call that blocks would wait for itself: it was made on the thread of its own blocking::Runtime, in a saver, a grant or a task; use the async methods there",
            ));
        }
        Ok(())
    }

    pub(super) fn enter<T>(&self, act: impl FnOnce() -> T) -> T {
        let _entered = self.0.handle.enter();
        act()
    }
}

/// Whether destructors of thread-local variables run, and that of Tokio's has run: then no runtime can be
/// entered.
pub(super) fn is_thread_ending() -> bool {
    Handle::try_current().is_err_and(|error| error.is_thread_local_destroyed())
}

/// Whether this thread may wait for another one to begin or to end.
pub(super) fn may_wait_for_threads() -> bool {
    !(cfg!(windows) && is_thread_ending())
}

impl Driving {
    fn is_own_thread(&self) -> bool {
        self.thread.as_ref().is_some_and(|own| own.thread().id() == thread::current().id())
    }
}

impl Drop for Driving {
    fn drop(&mut self) {
        drop(self.stop.take());
        if !self.is_own_thread()
            && may_wait_for_threads()
            && let Some(thread) = self.thread.take()
        {
            // It has not panicked: tasks do so by themselves.
            let _ = thread.join();
        }
    }
}

/// Wakes a thread that waits for a future.
struct Wakeup {
    thread: Thread,
    has_come: AtomicBool,
}

impl Wake for Wakeup {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.has_come.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

impl fmt::Debug for Runtime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Runtime").finish_non_exhaustive()
    }
}
