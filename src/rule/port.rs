//! Ports as policies forbid them and configs expose them: `22`, `1-1023/tcp`.
//! What a config writes and nobody can read as a port is not taken for one that is allowed.

/// One port or several in a row, of one protocol or of any.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ports {
    first: u16,
    last: u16,
    protocol: Option<Protocol>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Protocol {
    Tcp,
    Udp,
    Sctp,
}

impl Ports {
    /// Ports that a policy forbids; without a protocol, of each one. `None` for what is none.
    pub fn forbidden(text: &str) -> Option<Self> {
        Self::parse(text).filter(|ports| ports.first > 0 && !text.ends_with('/'))
    }

    /// Ports that a config exposes; without a protocol, of TCP (image-spec, config.md, `ExposedPorts`). `None` for what
    /// can't be read.
    pub fn exposed(text: &str) -> Option<Self> {
        let ports = Self::parse(text)?;
        Some(Self { protocol: ports.protocol.or(Some(Protocol::Tcp)), ..ports })
    }

    /// Whether any port is in both.
    pub fn meets(&self, other: &Self) -> bool {
        let protocols = match (self.protocol, other.protocol) {
            (Some(one), Some(other)) => one == other,
            _ => true,
        };
        protocols && self.first <= other.last && other.first <= self.last
    }

    fn parse(text: &str) -> Option<Self> {
        let (numbers, protocol) = text.split_once('/').unwrap_or((text, ""));
        let protocol = match protocol.to_ascii_lowercase().as_str() {
            "" => None,
            "tcp" => Some(Protocol::Tcp),
            "udp" => Some(Protocol::Udp),
            "sctp" => Some(Protocol::Sctp),
            _ => return None,
        };
        let (first, last) = numbers.split_once('-').unwrap_or((numbers, numbers));
        let (first, last) = (number(first)?, number(last)?);
        (first <= last).then_some(Self { first, last, protocol })
    }
}

fn number(text: &str) -> Option<u16> {
    text.bytes().all(|digit| digit.is_ascii_digit()).then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_meet_by_number_and_protocol() {
        let rows = [
            ("22", "22/tcp", true),
            ("22", "22/udp", true),
            ("22", "22", true),
            ("22/tcp", "22", true),
            ("22/TCP", "22/tcp", true),
            ("22/udp", "22/tcp", false),
            ("22/udp", "22", false),
            ("22", "0022/TCP", true),
            ("22", "22/", true),
            ("22", "2222/tcp", false),
            ("1-1023/tcp", "80/tcp", true),
            ("1-1023/tcp", "1/tcp", true),
            ("1-1023/tcp", "1023/tcp", true),
            ("1-1023/tcp", "1024/tcp", false),
            ("1-1023/tcp", "53/udp", false),
            ("8080", "8000-8100/tcp", true),
            ("7999", "8000-8100/tcp", false),
            ("8101", "8000-8100/tcp", false),
            ("1-65535", "0", false),
        ];
        for (forbidden, exposed, expected) in rows {
            let (one, other) = (Ports::forbidden(forbidden), Ports::exposed(exposed));
            assert_eq!(one.expect(forbidden).meets(&other.expect(exposed)), expected, "{forbidden} {exposed}");
        }
    }

    #[test]
    fn what_is_no_port_is_none() {
        for text in
            ["", "/tcp", "-1", "+22", "22/icmp", "22/tcp/udp", "80-22", "80-", "65536", "http", "$PORT", " 22", "1-2-3"]
        {
            assert_eq!((Ports::forbidden(text), Ports::exposed(text)), (None, None), "{text}");
        }
        for text in ["0", "0-80", "22/"] {
            assert_eq!(Ports::forbidden(text), None, "{text}");
        }
    }
}
