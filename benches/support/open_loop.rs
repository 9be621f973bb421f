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
    pub(crate) statuses: BTreeMap<u16, u64>,
    /// The latencies of those that were answered 200.
    pub(crate) accepted: Vec<Duration>,
}

impl Offered {
    pub(crate) fn add(&mut self, other: Self) {
        self.sent += other.sent;
        self.unsent += other.unsent;
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        self.accepted.extend(other.accepted);
    }

    fn answered(&mut self, status: u16, latency: Duration) {
        *self.statuses.entry(status).or_default() += 1;
        if status == 200 {
            self.accepted.push(latency);
        }
    }
}

/// Offers so many requests a second for so long.
pub(crate) fn offer(
    address: SocketAddr,
    connections: usize,
    (per_second, time): (f64, Duration),
    next: impl Fn() -> Vec<u8>,
) -> Offered {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let mut streams = VecDeque::new();
        for _ in 0..connections {
            streams.push_back(connect(address).await);
        }
        // In turns, so that none is idle for so long that the server closes it.
        let idle = Rc::new(RefCell::new(streams));
        let offered = Rc::new(RefCell::new(Offered::default()));
        let each = Duration::from_secs_f64(1.0 / per_second);
        let (start, mut due) = (Instant::now(), Duration::ZERO);
        while due < time {
            while due < start.elapsed() && due < time {
                let stream = idle.borrow_mut().pop_front();
                if let Some(stream) = stream {
                    offered.borrow_mut().sent += 1;
                    let (idle, offered) = (Rc::clone(&idle), Rc::clone(&offered));
                    tokio::task::spawn_local(send(stream, next(), start + due, (idle, offered)));
                } else {
                    offered.borrow_mut().unsent += 1;
                }
                due += each;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        while idle.borrow().len() < connections {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        offered.take()
    })
}

/// Sends one request that was due then, and has its connection idle again.
async fn send(
    mut stream: TcpStream,
    request: Vec<u8>,
    due: Instant,
    (idle, offered): (Rc<RefCell<VecDeque<TcpStream>>>, Rc<RefCell<Offered>>),
) {
    let mut buffer = Vec::with_capacity(1024);
    exchange(&mut stream, &request, &mut buffer).await;
    let status = std::str::from_utf8(&buffer[9..12])
        .unwrap()
        .parse()
        .unwrap();
    offered.borrow_mut().answered(status, due.elapsed());
    idle.borrow_mut().push_back(stream);
}
