//! Applications behind the gateway.

use axum::Router;
use std::net::SocketAddr;
use std::sync::Arc;
use tokio::sync::Semaphore;

/// Answers every request with `here`.
pub(crate) async fn quick() -> SocketAddr {
    serve(Router::new().fallback(|| async { "here" })).await
}

/// Holds every answer until it is told to let go.
#[derive(Clone)]
pub(crate) struct Slow {
    arrived: Arc<Semaphore>,
    let_go: Arc<Semaphore>,
}

impl Slow {
    pub(crate) async fn start() -> (Self, SocketAddr) {
        let slow =
            Self { arrived: Arc::new(Semaphore::new(0)), let_go: Arc::new(Semaphore::new(0)) };
        let it = slow.clone();
        let hold = move || async move {
            it.arrived.add_permits(1);
            it.let_go.acquire().await.unwrap().forget();
            "at last"
        };
        (slow, serve(Router::new().fallback(hold)).await)
    }

    /// Waits until a request is here.
    pub(crate) async fn has_request(&self) {
        self.arrived.acquire().await.unwrap().forget();
    }

    pub(crate) fn let_go(&self) {
        self.let_go.add_permits(1);
    }
}

async fn serve(pages: Router) -> SocketAddr {
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, pages).await.unwrap() });
    address
}
