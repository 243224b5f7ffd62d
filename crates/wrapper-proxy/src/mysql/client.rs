//! The client's side of a login: greeting, login packet, local password.

use tokio::io::{AsyncRead, AsyncWrite};
use wrapper_core::{Error, ErrorKind};

use super::{
    greeting::Greeting,
    login::Login,
    packet::{Packet, capability, send},
    proof::Method,
};
use crate::{
    access::LocalPassword,
    admission::{Refused, UserNames},
    allowance::Allowance,
    limits::Handshake,
};

/// `fast_auth_success` of caching_sha2_password, after which the client expects the OK.
const PROOF_ACCEPTED: [u8; 2] = [1, 3];

/// The longest error text in bytes that clients read: `MYSQL_ERRMSG_SIZE` less the NUL.
const MAX_TEXT: usize = 511;

/// An admitted client: its login, and the sequence number of the packet that it expects.
pub(crate) struct Admitted {
    pub(crate) login: Login,
    pub(crate) next: u8,
}

/// Sends the greeting, reads the client's login, and checks user and local password.
pub(crate) async fn admit(
    client: &mut (impl AsyncRead + AsyncWrite + Unpin),
    greeting: &Greeting,
    names: &UserNames,
    password: Option<&LocalPassword>,
    handshake: &Handshake,
) -> Result<Admitted, Refused> {
    send(client, 0, &greeting.for_client()).await?;
    handshake.restart_grace();
    let mut allowance = Allowance::of_client();
    let mut packet = Packet::read(client, &mut allowance).await?;
    let login = match Login::parse(&packet.payload) {
        Ok(login) => login,
        Err(invalid) => {
            let text = format!("rds-iam: {}", invalid.text());
            send(client, packet.number.wrapping_add(1), &answer(1043, "08S01", &text)).await?;
            return Err(Refused::new(invalid.text()));
        }
    };
    if !names.accept(&login.user) {
        send(client, packet.number.wrapping_add(1), &answer(1045, "28000", &names.refusal())).await?;
        return Err(Refused::new("the client asked for another user"));
    }
    // A client without PLUGIN_AUTH uses the native method, even if another was announced.
    let has_methods = login.capabilities & capability::PLUGIN_AUTH != 0;
    let mut method = if has_methods { greeting.announced } else { Method::Native };
    let mut proof = login.proof.clone();
    // A proof of another method than the announced one is void: such a client expects an
    // AuthSwitchRequest.
    if !login.plugin.is_empty() && login.plugin != method.name().as_bytes() {
        method = Method::named(&login.plugin).unwrap_or(Method::Native);
        let switch = [b"\xfe", method.name().as_bytes(), b"\0", &greeting.nonce, b"\0"].concat();
        send(client, packet.number.wrapping_add(1), &switch).await?;
        handshake.restart_grace();
        packet = Packet::read(client, &mut allowance).await?;
        proof = packet.payload;
    }
    let mut next = packet.number.wrapping_add(1);
    if password
        .is_some_and(|password| !password.is_proved(&proof, |text| method.prove(text, &greeting.nonce)))
    {
        let text = "rds-iam: wrong local password: use the one that the proxy was started with";
        send(client, next, &answer(1045, "28000", text)).await?;
        return Err(Refused::new("wrong local password"));
    }
    if method == Method::CachingSha2 && !proof.is_empty() {
        send(client, next, &PROOF_ACCEPTED).await?;
        next = next.wrapping_add(1);
    }
    Ok(Admitted { login, next })
}

/// Creates an ERR packet.
pub(crate) fn answer(code: u16, state: &str, text: &str) -> Vec<u8> {
    let text = truncated(text);
    [b"\xff", &code.to_le_bytes()[..], b"#", state.as_bytes(), text.as_bytes()].concat()
}

/// Creates an ERR packet in place of a greeting, where clients expect no SQLSTATE.
pub(crate) fn answer_before_greeting(code: u16, text: &str) -> Vec<u8> {
    [b"\xff", &code.to_le_bytes()[..], truncated(text).as_bytes()].concat()
}

fn truncated(text: &str) -> &str {
    let fits = |end: &usize| text.is_char_boundary(*end);
    let end = (0..=MAX_TEXT.min(text.len())).rev().find(fits).unwrap_or_default();
    &text[..end]
}

/// Returns the SQLSTATE of a server's refusal of a login; the chain keeps only its number:
/// <https://dev.mysql.com/doc/mysql-errors/8.0/en/server-error-reference.html>.
fn sqlstate(code: u16) -> Option<&'static str> {
    match code {
        1040 => Some("08004"),
        1044 | 1049 | 1203 | 1226 => Some("42000"),
        1045 | 1698 => Some("28000"),
        1043 | 1047 | 1053 => Some("08S01"),
        1129 | 1130 | 3118 | 3159 | 3955 => Some("HY000"),
        _ => None,
    }
}

/// Returns a client's error: the server's own code and message first, then the explanation.
pub(crate) fn client_error(error: &Error) -> (u16, &'static str, String) {
    let causes = error.diagnosis().iter().take(3).enumerate();
    let causes: Vec<_> = causes.map(|(index, cause)| format!("{}. {cause}", index + 1)).collect();
    let causes = causes.join("; ");
    let (code, state) = match error.kind() {
        ErrorKind::Credentials(_) | ErrorKind::Login | ErrorKind::Region | ErrorKind::Token => {
            (1045, "28000")
        }
        ErrorKind::Throttled => (1040, "08004"),
        _ => (1105, "HY000"),
    };
    match error.server() {
        Some(server) => {
            // The text has no room for message and causes; the log has both.
            let ours = if causes.is_empty() { error.message() } else { &causes };
            let text = format!("{} (rds-iam: {ours})", server.text());
            let code = server.code().parse().unwrap_or(code);
            (code, sqlstate(code).unwrap_or(state), text)
        }
        None if causes.is_empty() => (code, state, format!("rds-iam: {}", error.message())),
        None => (code, state, format!("rds-iam: {}; {causes}", error.message())),
    }
}

#[cfg(test)]
mod tests {
    use super::{super::greeting::tests::greeting, *};
    use crate::limits::Handshakes;

    #[tokio::test]
    async fn client_without_methods_proves_the_password_by_the_native_one() {
        let greeting = Greeting::parse(greeting(u32::MAX, "caching_sha2_password")).expect("is read");
        let password = LocalPassword::new("correct horse").expect("long enough");
        let proof = Method::Native.prove(b"correct horse", &greeting.nonce);
        let flags = capability::PROTOCOL_41 | capability::SECURE_CONNECTION;
        let login = [&flags.to_le_bytes()[..], &[0; 28], b"jane\0\x14", &proof].concat();
        let (mut client, mut proxy) = tokio::io::duplex(1024);
        send(&mut client, 1, &login).await.expect("is sent");

        let (names, handshake) = (UserNames::of("jane"), Handshakes::default().begin(1));
        let admitted = admit(&mut proxy, &greeting, &names, Some(&password), &handshake).await;

        let admitted = admitted.unwrap_or_else(|refused| panic!("{refused:?}"));
        assert_eq!(admitted.next, 2);
        // Nothing follows the greeting: such clients expect no further packets.
        let mut allowance = Allowance::of_server();
        drop((Packet::read(&mut client, &mut allowance).await.expect("is greeted"), proxy));
        assert!(Packet::read(&mut client, &mut allowance).await.is_err());
    }
}
