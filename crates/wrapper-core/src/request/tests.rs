//! Tests of changes to a request.

use std::net::Ipv4Addr;

use super::*;

#[test]
fn another_host_forgets_what_belonged_to_the_former() {
    let request = ConnectRequest::new("a.example", 5432, "jane")
        .with_addresses([IpAddr::from(Ipv4Addr::LOCALHOST)])
        .with_instance("one");
    assert!(request.is_configured_host());

    let moved = request.with_host("b.example");

    assert!(!moved.is_configured_host());
    assert!(moved.addresses().is_empty());
    assert_eq!(moved.instance(), None);
}

#[test]
fn certificate_is_for_the_server_name_and_place_is_where_the_socket_goes() {
    let request = ConnectRequest::new("10.0.0.1", 3306, "jane");
    assert_eq!((request.tls_name(), request.address_label().as_str()), ("10.0.0.1", "`10.0.0.1:3306`"));

    let request =
        request.with_host("a.example").with_server_name(ServerName::from_code("b.example").expect("a name"));
    request.progress().dial(([10, 0, 0, 1], 3306).into());

    assert_eq!(
        (request.tls_name(), request.address_label().as_str()),
        ("b.example", "`a.example` (10.0.0.1:3306)")
    );
}

#[test]
fn another_user_forgets_the_password_of_the_former() {
    let request = ConnectRequest::new("a.example", 1, "jane").with_password(Password::new("pw"));
    assert!(request.is_configured_user());

    let moved = request.with_user("app").expect("fits");

    assert_eq!((moved.user(), moved.password().is_none(), moved.is_configured_user()), ("app", true, false));
}

#[test]
fn user_wrong() {
    let message =
        |user| ConnectRequest::new("a.example", 1, "jane").with_user(user).expect_err("no name").to_string();

    assert_eq!(message(""), "a plugin supplied an empty database user");
    assert_eq!(message("a\nb"), "user `a\\nb` contains a control character");
    assert_eq!(message("a\0"), "user `a\\0` contains a control character");
}

#[test]
fn server_name_stays_with_its_host() {
    let name = ServerName::from_code("cert.example").expect("a name");
    let request = ConnectRequest::new("a.example", 1, "jane").with_server_name(name);

    assert_eq!(request.clone().with_host("A.example").tls_name(), "cert.example");
    assert_eq!(request.with_host("b.example").tls_name(), "b.example");
}

#[test]
fn server_name_is_a_dns_name() {
    assert_eq!(ServerName::from_code("DB.example.").expect("a name").as_str(), "db.example");
    for name in
        [".evil.example", "*.example", "a..b", "10.0.0.1", "[::1]", "a b", "jane:hunter2@h", "h:5432", ""]
    {
        let error = ServerName::from_code(name).expect_err("no name").to_string();
        assert!(
            error.contains("`tlsServerName` must be a DNS name") && !error.contains("hunter2"),
            "{error}"
        );
        assert!(ServerName::from_configuration(name).is_err(), "{name}");
    }
}

#[test]
fn all_passwords_are_secrets() {
    let request = ConnectRequest::new("a.example", 1, "jane")
        .with_secret(Password::new("configured"))
        .with_password(Password::new("first"))
        .with_password(Password::new("second"));

    assert_eq!(request.secrets().collect::<Vec<_>>(), ["second", "configured", "first"]);
}

#[test]
fn address_with_colons_stands_in_brackets() {
    assert_eq!(ConnectRequest::new("::1", 5432, "jane").address_label(), "`[::1]:5432`");
}

#[test]
fn debug_shows_no_password() {
    let request = ConnectRequest::new("a.example", 1, "jane").with_password(Password::new("hunter2"));

    assert!(!format!("{request:?}").contains("hunter2"));
}
