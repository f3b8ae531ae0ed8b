//! What the node counts, as it tells monitoring.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::cli::Failure;
use crate::clock::{Clock as _, SystemClock};

/// A page of metrics is a few dozen kilobytes.
const PAGE_BYTES_MAX: u64 = 4 << 20;
/// A node that is overloaded still answers monitoring.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Counters of one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::cli::bench) struct Counted {
    /// Audiences known from an earlier notice.
    pub(in crate::cli::bench) audience_hits: u64,
    /// Audiences resolved from the directory.
    pub(in crate::cli::bench) audience_misses: u64,
}

impl Counted {
    /// Asks the node's ops port.
    pub(in crate::cli::bench) async fn at(address: Option<&str>) -> Result<Self, Failure> {
        let address = address.ok_or_else(|| Failure::failed("the node has no ops port"))?;
        let clock = SystemClock::new();
        let page = tokio::select! {
            page = page(address) => page.map_err(|error| Failure::failed(format!("{address}: {error}")))?,
            () = clock.until(ANSWER_MAX) => return Err(Failure::failed(format!("{address} does not answer"))),
        };
        Self::read(&page).ok_or_else(|| Failure::failed(format!("{address} counts no audiences")))
    }

    fn read(page: &str) -> Option<Self> {
        let count = |found: &str| {
            let sample = format!("liaison_audiences_total{{found=\"{found}\"}} ");
            let value = page.lines().find_map(|line| line.strip_prefix(&sample))?;
            value.parse::<f64>().ok().map(|count| count as u64)
        };
        Some(Self { audience_hits: count("remembered")?, audience_misses: count("resolved")? })
    }
}

/// One request on a line of its own, of a version of HTTP in which the answer's end is the line's.
async fn page(address: &str) -> std::io::Result<String> {
    let mut line = TcpStream::connect(address).await?;
    line.write_all(b"GET /metrics HTTP/1.0\r\n\r\n").await?;
    let mut page = String::new();
    line.take(PAGE_BYTES_MAX).read_to_string(&mut page).await?;
    Ok(page)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hits_and_misses_are_read_from_a_page_and_a_page_without_them_is_no_zero() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# TYPE liaison_audiences_total counter\n\
                    liaison_audiences_total{found=\"remembered\"} 41\nliaison_audiences_total{found=\"resolved\"} 1.0\n";
        assert_eq!(Counted::read(page), Some(Counted { audience_hits: 41, audience_misses: 1 }));
        assert_eq!(Counted::read("HTTP/1.0 503 \r\n\r\n"), None);
    }
}
