//! A load that does not wait for answers: requests are due by the clock. What is due while every connection waits is counted,
//! not sent, and latencies are counted from when a request was due.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::load::{connect, exchange};

/// How what was offered was answered.
#[derive(Default)]
pub(crate) struct Offered {
    pub(crate) sent: u64,
    pub(crate) unsent: u64,
    /// Connections that ended before the answer; each is made anew, unless nobody listens any more.
    pub(crate) broken: u64,
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// The latencies of those that were answered 200, by what was asked for.
    pub(crate) accepted: BTreeMap<&'static str, Vec<Duration>>,
}

/// A request, and what it asks for.
pub(crate) struct Asked {
    pub(crate) kind: &'static str,
    pub(crate) bytes: Vec<u8>,
}

impl Asked {
    pub(crate) fn delivery(bytes: Vec<u8>) -> Self {
        let kind = "delivery";
        Self { kind, bytes }
    }
}

impl Offered {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        self.broken += other.broken;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (kind, latencies) in other.accepted {
            self.accepted.entry(kind).or_default().extend(latencies);
        }
    }

    /// Returns all latencies.
    pub(crate) fn latencies(&self) -> Vec<Duration> {
        self.accepted.values().flatten().copied().collect()
    }

    fn answered(&mut self, kind: &'static str, status: u16, latency: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.accepted.entry(kind).or_default().push(latency);
        }
    }
}

/// Offers so many requests a second for so long.
pub(crate) fn offer(
    address: SocketAddr,
    connections: usize,
    (per_second, time): (f64, Duration),
    next: impl Fn() -> Asked,
) -> Offered {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let mut streams = VecDeque::new();
        for _ in 0..connections {
            streams.push_back(Some(connect(address).await.unwrap()));
        }
        // In turns, so that none is idle for so long that the server closes it.
        let idle = Rc::new(RefCell::new(streams));
        let offered = Rc::new(RefCell::new(Offered::default()));
        let each = Duration::from_secs_f64(1.0 / per_second);
        let (start, mut due) = (Instant::now(), Duration::ZERO);
        while due < time {
            while due < start.elapsed() && due < time {
                let stream = idle.borrow_mut().pop_front().flatten();
                if let Some(stream) = stream {
                    offered.borrow_mut().sent += 1;
                    let (idle, offered) = (Rc::clone(&idle), Rc::clone(&offered));
                    let request = Request {
                        asked: next(),
                        due: start + due,
                    };
                    tokio::task::spawn_local(async move {
                        let stream = send(stream, address, request, &offered).await;
                        idle.borrow_mut().push_back(stream);
                    });
                } else {
                    offered.borrow_mut().unsent += 1;
                }
                due += each;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        let in_use = || Rc::strong_count(&idle) > 1;
        while in_use() {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        offered.take()
    })
}

struct Request {
    asked: Asked,
    due: Instant,
}

/// Sends one request, and returns a connection that is idle again, or none if nobody listens any more.
async fn send(
    mut stream: TcpStream,
    address: SocketAddr,
    request: Request,
    offered: &RefCell<Offered>,
) -> Option<TcpStream> {
    let mut buffer = Vec::with_capacity(1024);
    if exchange(&mut stream, &request.asked.bytes, &mut buffer)
        .await
        .is_err()
    {
        offered.borrow_mut().broken += 1;
        return connect(address).await.ok();
    }
    let status = std::str::from_utf8(&buffer[9..12]).unwrap().parse();
    let latency = request.due.elapsed();
    offered
        .borrow_mut()
        .answered(request.asked.kind, status.unwrap(), latency);
    Some(stream)
}
