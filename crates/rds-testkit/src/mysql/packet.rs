//! Constants of the protocol, by their names in MySQL's documentation.

pub(super) const VERSION: &str = "8.0.39";

/// Bits of the capabilities that both sides exchange, by their names in MySQL's protocol.
pub(super) mod capability {
    pub(crate) const CONNECT_WITH_DB: u32 = 1 << 3;
    pub(crate) const SSL: u32 = 1 << 11;
    pub(crate) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(crate) const DEPRECATE_EOF: u32 = 1 << 24;
    /// LONG_PASSWORD, LONG_FLAG, LOCAL_FILES, PROTOCOL_41, TRANSACTIONS, SECURE_CONNECTION,
    /// MULTI_STATEMENTS, MULTI_RESULTS, PS_MULTI_RESULTS, CONNECT_ATTRS,
    /// PLUGIN_AUTH_LENENC_CLIENT_DATA.
    pub(crate) const OTHERS: u32 =
        0x1 | 0x4 | 0x80 | 0x200 | 0x2000 | 0x8000 | 0x1_0000 | 0x2_0000 | 0x4_0000 | 0x10_0000 | 0x20_0000;
}

/// The request to send the password in clear text.
pub(super) const ASK_FOR_CLEAR_TEXT: &[u8] = b"\xfemysql_clear_password\0";

/// An OK packet: nothing changed, autocommit.
pub(super) const OK: &[u8] = &[0, 0, 0, 2, 0, 0, 0];

/// The first bytes of the client's packets after the login.
pub(super) mod command {
    pub(crate) const QUIT: u8 = 0x01;
    pub(crate) const INIT_DB: u8 = 0x02;
    pub(crate) const QUERY: u8 = 0x03;
    pub(crate) const PROCESS_KILL: u8 = 0x0c;
    pub(crate) const PING: u8 = 0x0e;
    pub(crate) const STMT_PREPARE: u8 = 0x16;
    pub(crate) const STMT_EXECUTE: u8 = 0x17;
    pub(crate) const STMT_CLOSE: u8 = 0x19;
    pub(crate) const STMT_RESET: u8 = 0x1a;
    pub(crate) const RESET_CONNECTION: u8 = 0x1f;
}
