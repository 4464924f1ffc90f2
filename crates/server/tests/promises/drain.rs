//! SIGTERM lets requests finish; a second one does not.

use crate::daemon::Place;
use crate::origin::Slow;

async fn with_slow_app() -> (Place, Slow) {
    let (slow, origin) = Slow::start().await;
    let ingress =
        format!("[[ingress]]\nhostname = \"slow.localhost\"\nservice = \"http://{origin}\"");
    (Place::new(&ingress), slow)
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_under_way_finishes_and_nobody_new_gets_in() {
    let (place, slow) = with_slow_app().await;
    let daemon = place.serve();
    place.open_to_all("slow.localhost").await;
    let mut connection = place.wire().open("slow.localhost").await.unwrap();
    let request = tokio::spawn(async move { connection.ask("GET", "/", &[], "").await });
    slow.has_request().await;

    daemon.signal("TERM");
    daemon.wait_for("finishing what is under way", 1);
    // The listeners close within an instant; a connection that was accepted before that may still be reset.
    let until = std::time::Instant::now() + crate::daemon::DEADLINE;
    while std::net::TcpStream::connect(place.https_addr()).is_ok() {
        assert!(std::time::Instant::now() < until, "new connections are still accepted");
        tokio::task::yield_now().await;
    }
    assert_eq!(place.private("/readyz").await, (503, "the gateway is stopping\n".to_owned()));
    assert_eq!(place.private("/healthz").await.0, 200);

    slow.let_go();
    let answer = request.await.unwrap().unwrap();
    assert_eq!((answer.status, answer.text().as_str()), (200, "at last"));
    let (status, said) = daemon.ended();
    assert_eq!(status.code(), Some(0), "{said}");
    assert!(said.contains("\"message\":\"stopped\""), "the last line is written: {said}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_second_signal_ends_it_at_once() {
    let (place, slow) = with_slow_app().await;
    let daemon = place.serve();
    place.open_to_all("slow.localhost").await;
    let mut connection = place.wire().open("slow.localhost").await.unwrap();
    let request = tokio::spawn(async move { connection.ask("GET", "/", &[], "").await });
    slow.has_request().await;

    daemon.signal("TERM");
    daemon.wait_for("finishing what is under way", 1);
    daemon.signal("TERM");
    let (status, said) = daemon.ended();
    assert_eq!(status.code(), Some(1), "{said}");
    assert!(said.contains("stopped before everything was finished"), "{said}");
    assert!(request.await.unwrap().is_err(), "the request was cut");
}
