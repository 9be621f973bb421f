//! A load of HTTP requests over kept connections: one thread, each connection asks again once it is answered.

use std::cell::Cell;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// What a load measured.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    /// What one request cost this process, the client's part included: it tells more than a rate where others use
    /// the machine too.
    pub(crate) cpu_microseconds: f64,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
}

/// Sends `requests` in turn over so many connections, each request once, and expects 200 for each.
pub(crate) fn send(address: SocketAddr, connections: usize, requests: Vec<Vec<u8>>) -> Measured {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    let tasks = tokio::task::LocalSet::new();
    tasks.block_on(&runtime, async move {
        let count = requests.len();
        let (requests, next) = (Rc::new(requests), Rc::new(Cell::new(0)));
        let mut streams = Vec::new();
        for _ in 0..connections {
            streams.push(connect(address).await.unwrap());
        }
        let (start, cpu) = (Instant::now(), cpu_seconds());
        let senders: Vec<_> = streams
            .into_iter()
            .map(|stream| {
                let (requests, next) = (Rc::clone(&requests), Rc::clone(&next));
                tokio::task::spawn_local(send_over(stream, requests, next))
            })
            .collect();
        let mut latencies = Vec::with_capacity(count);
        for sender in senders {
            latencies.append(&mut sender.await.unwrap());
        }
        let (elapsed, cpu) = (start.elapsed().as_secs_f64(), cpu_seconds() - cpu);
        latencies.sort();
        let at = |share: usize| latencies[(latencies.len() - 1) * share / 100];
        let count = f64::from(u32::try_from(count).unwrap());
        Measured {
            per_second: count / elapsed,
            cpu_microseconds: cpu * 1e6 / count,
            p50: at(50),
            p99: at(99),
        }
    })
}

fn cpu_seconds() -> f64 {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.try_into().unwrap(),
        time.tv_nsec.try_into().unwrap(),
    )
    .as_secs_f64()
}

async fn send_over(
    mut stream: TcpStream,
    requests: Rc<Vec<Vec<u8>>>,
    next: Rc<Cell<usize>>,
) -> Vec<Duration> {
    let mut latencies = Vec::new();
    let mut buffer = Vec::with_capacity(8192);
    while let Some(request) = requests.get(next.replace(next.get() + 1)) {
        let start = Instant::now();
        exchange(&mut stream, request, &mut buffer).await.unwrap();
        latencies.push(start.elapsed());
        assert!(
            buffer.starts_with(b"HTTP/1.1 200"),
            "{}",
            String::from_utf8_lossy(&buffer)
        );
    }
    latencies
}

pub(crate) async fn connect(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

/// Sends a request, and reads its answer into `buffer`; that the connection ends before is an error.
pub(crate) async fn exchange(
    stream: &mut TcpStream,
    request: &[u8],
    buffer: &mut Vec<u8>,
) -> io::Result<()> {
    stream.write_all(request).await?;
    buffer.clear();
    while !is_whole(buffer) {
        if stream.read_buf(buffer).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
    }
    Ok(())
}

/// Says whether an answer with a `content-length` has arrived whole.
fn is_whole(answer: &[u8]) -> bool {
    let Some(end) = answer.windows(4).position(|window| window == b"\r\n\r\n") else {
        return false;
    };
    let head = answer[..end].to_ascii_lowercase();
    let name = b"content-length: ";
    let at = head
        .windows(name.len())
        .position(|window| window == name)
        .unwrap()
        + name.len();
    let digits = head[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    answer.len() >= end + 4 + length
}
