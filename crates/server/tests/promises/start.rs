//! Starts that fail say what to do.

use crate::daemon::Place;
use std::net::TcpListener;

fn refused(place: &Place) -> String {
    let output = place.run(&["serve", "--config", "narthex.toml"]);
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{said}");
    said
}

#[test]
fn a_port_in_use_is_named_with_the_key_to_change() {
    let place = Place::new("");
    for (port, key) in [(place.https, "https"), (place.http, "http"), (place.metrics, "metrics")] {
        let holder = TcpListener::bind(("127.0.0.1", port)).unwrap();
        let said = refused(&place);
        drop(holder);
        let address = format!("cannot listen on 127.0.0.1:{port}: Address already in use");
        assert!(said.contains(&address), "{said}");
        assert!(said.contains(&format!("change [listen] {key}\n")), "{said}");
    }
    place.serve().stop(); // nothing was left behind
}

#[test]
fn a_data_directory_in_use_is_named_with_its_holder() {
    let place = Place::new("");
    let daemon = place.serve();
    let other = Place::new("");
    let data = place.file("data");
    let text = other.usual("", "").replace("\"data\"", &format!("{data:?}"));
    other.write(&text);
    let said = refused(&other);
    assert!(said.contains("is in use by process"), "{said}");
    assert!(said.contains(data.to_str().unwrap()), "{said}");
    daemon.stop();
}

#[test]
fn a_damaged_master_key_stops_the_start() {
    let place = Place::new("");
    place.serve().stop();
    let key = place.file("data/master.key");
    let sound = std::fs::read_to_string(&key).unwrap();
    for (content, says) in [
        ("not a key", "64 hexadecimal digits"),
        ("00".repeat(32).as_str(), "was sealed by another master key"),
    ] {
        std::fs::write(&key, content).unwrap();
        let said = refused(&place);
        assert!(said.contains(says), "{said}");
        assert_eq!(std::fs::read_to_string(&key).unwrap(), content, "left as it is");
    }
    std::fs::remove_file(&key).unwrap();
    assert!(refused(&place).contains("master.key is missing"));
    std::fs::write(&key, sound).unwrap();
    place.serve().stop();
}
