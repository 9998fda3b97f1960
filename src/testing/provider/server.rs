use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::task::{AbortHandle, JoinSet};
use tokio::time::sleep;

use super::router::route;
use super::state::Shared;

/// How many connections may wait to be accepted.
const BACKLOG: u32 = 16 * 1024;

/// How long to wait after a failed accept: the process may be out of sockets.
const ACCEPT_PAUSE: Duration = Duration::from_millis(10);

/// The running server; it stops, connections included, when this is dropped.
#[derive(Debug)]
pub(crate) struct Server {
    task: AbortHandle,
}

impl Server {
    pub(crate) fn start(listener: TcpListener, shared: Arc<Shared>) -> Self {
        Self { task: tokio::spawn(accept(listener, shared)).abort_handle() }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A free loopback port.
pub(crate) fn bind() -> io::Result<TcpListener> {
    let socket = TcpSocket::new_v4()?;
    socket.bind((Ipv4Addr::LOCALHOST, 0).into())?;
    socket.listen(BACKLOG)
}

async fn accept(listener: TcpListener, shared: Arc<Shared>) {
    // Dropped with this task, which ends every connection.
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, Arc::clone(&shared)));
                }
                Err(_) => sleep(ACCEPT_PAUSE).await,
            },
            Some(_) = connections.join_next() => {}
        }
    }
}

async fn serve(stream: TcpStream, shared: Arc<Shared>) {
    let _ = stream.set_nodelay(true);
    let service = service_fn(|request| route(&shared, request));
    // With half-close a request is served to its end even if the client has
    // gone, as most servers do: a cancelled refresh still rotates.
    let connection =
        http1::Builder::new().half_close(true).serve_connection(TokioIo::new(stream), service);
    // A connection that fails concerns its client only.
    let _ = connection.await;
}
