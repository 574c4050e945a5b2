use super::*;

#[test]
fn an_address_is_read_strictly() {
    for good in ["http://127.0.0.1:8081", "http://127.0.0.1:8081/", "http://127.0.0.1:8081/api/v1/"] {
        assert_eq!(base(good).unwrap(), "http://127.0.0.1:8081/api/v1");
    }
    assert_eq!(base("https://[::1]:8081/api/v1").unwrap(), "https://[::1]:8081/api/v1");
    for bad in [
        "",
        "127.0.0.1:8081",
        "ftp://a",
        "http://",
        "http://u:p@a",
        "http://a/x",
        "http://a/?x",
        "http://a#x",
    ] {
        assert_eq!(base(bad), Err(BaseError), "{bad}");
    }
}

#[test]
fn names_are_escaped_for_the_api_and_for_urls() {
    let name = |text| Name::from_text(text).unwrap();
    assert_eq!(zone_id(&name("a-1.example")), "a-1.example.");
    assert_eq!(zone_id(&name("_x/y.example")), "=5Fx=2Fy.example.");
    assert_eq!(zone_id(&Name::root()), "=2E");
    assert_eq!(quoted("_ssh.a/b?&."), "_ssh.a%2Fb%3F%26.");
}
