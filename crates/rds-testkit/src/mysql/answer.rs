//! Error answers with the texts of MySQL, RDS and RDS Proxy.

use crate::server_error::ServerError;

impl ServerError {
    /// Refuses as MySQL does, on RDS for a bad token too: 1045, for any reason.
    #[must_use]
    pub fn access_denied(user: &str) -> Self {
        Self::new("1045", format!("Access denied for user '{user}'@'127.0.0.1' (using password: YES)"))
    }

    /// Refuses as MariaDB does for an account without password login: 1698.
    #[must_use]
    pub fn access_denied_without_password(user: &str) -> Self {
        Self::new("1698", format!("Access denied for user '{user}'@'127.0.0.1'"))
    }

    /// Throttles as RDS Proxy for MySQL does: 1040.
    #[must_use]
    pub fn proxy_rate_limited() -> Self {
        Self::new("1040", "IAM authentication rate limit exceeded")
    }

    /// Refuses an unencrypted connection as RDS Proxy for MySQL does: 3159.
    #[must_use]
    pub fn secure_transport_required() -> Self {
        Self::new("3159", "This RDS Proxy requires TLS connections")
    }

    /// Times out waiting for the database as RDS Proxy for MySQL does: 9501.
    #[must_use]
    pub fn proxy_timed_out() -> Self {
        Self::new("9501", "Timed-out waiting to acquire database connection")
    }

    /// Refuses as MySQL does when every connection is taken: 1040.
    #[must_use]
    pub fn too_many_mysql_connections() -> Self {
        Self::new("1040", "Too many connections")
    }

    /// Refuses an unknown database: 1049.
    #[must_use]
    pub fn unknown_database(database: &str) -> Self {
        Self::new("1049", format!("Unknown database '{database}'"))
    }
}

/// Creates the ERR packet for an error with a MySQL error number.
pub(super) fn packet(error: &ServerError) -> Vec<u8> {
    let number = error.code.parse::<u16>().unwrap_or(1105);
    let mut packet = vec![0xff];
    packet.extend(number.to_le_bytes());
    packet.push(b'#');
    packet.extend(sql_state(number).as_bytes());
    packet.extend(error.message.as_bytes());
    packet
}

/// Finds the SQLSTATE in MySQL's table of server errors.
fn sql_state(number: u16) -> &'static str {
    match number {
        1040 => "08004",
        1044 | 1049 => "42000",
        1045 | 1698 => "28000",
        1047 => "08S01",
        1064 => "42000",
        1317 => "70100",
        1792 => "25006",
        _ => "HY000",
    }
}
