//! Real processes: seven nodes of the example `cluster`, of which one is killed, one frozen and
//! thawed, and one told to leave. What the others make of it is read from the status line that each
//! prints when its tracker changes.
#![cfg(unix)]
#![forbid(unsafe_code)]

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::net::{SocketAddr, UdpSocket};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Condvar, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

const NODES: usize = 7;
const PERIOD_MS: &str = "200";
/// How long anything may take: far more than it does, since the machine may be busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// What each node's last status line said: its own incarnation, and (status, incarnation) by node.
#[derive(Clone, Debug, Default)]
struct Line {
    own: u64,
    members: BTreeMap<SocketAddr, (String, u64)>,
}

#[derive(Default)]
struct Board {
    lines: Mutex<BTreeMap<SocketAddr, Line>>,
    changed: Condvar,
}

struct Process {
    address: SocketAddr,
    child: Child,
}

impl Drop for Process {
    fn drop(&mut self) {
        // A frozen one too dies of this.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Process {
    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }
}

fn parse(line: &str) -> Option<(SocketAddr, Line)> {
    let mut packed_states = line.strip_prefix("status me=")?.split(' ');
    let (me, own) = packed_states.next()?.split_once('@')?;
    packed_states.next()?.strip_prefix("phase=")?;
    let member = |packed: &str| {
        let (node, state) = packed.split_once('=')?;
        let (status, incarnation) = state.split_once('@')?;
        Some((
            node.parse().ok()?,
            (status.to_owned(), incarnation.parse().ok()?),
        ))
    };
    let members = packed_states.map(member).collect::<Option<_>>()?;
    Some((
        me.parse().ok()?,
        Line {
            own: own.parse().ok()?,
            members,
        },
    ))
}

fn start(
    program: &mut Command,
    address: SocketAddr,
    seed: SocketAddr,
    board: &Arc<Board>,
) -> Process {
    let mut child = program
        .args([
            "--period",
            PERIOD_MS,
            "--bind",
            &address.to_string(),
            "--join",
            &seed.to_string(),
        ])
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    let board = board.clone();
    thread::spawn(move || {
        for line in out.lines().map_while(Result::ok) {
            let (me, line) = parse(&line).unwrap_or_else(|| panic!("no status line: {line}"));
            board.lines.lock().unwrap().insert(me, line);
            board.changed.notify_all();
        }
    });
    Process { address, child }
}

impl Board {
    /// Waits until something holds for the line of each of these observers.
    fn wait_until(&self, what: &str, observers: &[SocketAddr], so: impl Fn(&Line) -> bool) {
        let end = Instant::now() + PATIENCE;
        let mut lines = self.lines.lock().unwrap();
        while !observers
            .iter()
            .all(|observer| lines.get(observer).is_some_and(&so))
        {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "not in time: {what}; {lines:#?}");
            lines = self.changed.wait_timeout(lines, left).unwrap().0;
        }
    }
}

fn is(line: &Line, node: SocketAddr, statuses: &[&str]) -> bool {
    line.members
        .get(&node)
        .is_some_and(|(status, _)| statuses.contains(&status.as_str()))
}

#[test]
fn processes_notice_a_kill_a_freeze_and_a_farewell() {
    let example = escargot::CargoBuild::new()
        .example("cluster")
        .current_release()
        .current_target()
        .run()
        .unwrap();
    // Ports that are free now; the nodes must know each other's.
    let sockets: Vec<_> = (0..NODES)
        .map(|_| UdpSocket::bind("127.0.0.1:0").unwrap())
        .collect();
    let addresses: Vec<_> = sockets
        .iter()
        .map(|socket| socket.local_addr().unwrap())
        .collect();
    drop(sockets);
    let board = Arc::new(Board::default());
    let mut processes: Vec<_> = addresses
        .iter()
        .map(|address| start(&mut example.command(), *address, addresses[0], &board))
        .collect();
    let all_alive = |line: &Line| {
        line.members.len() == NODES - 1
            && line.members.values().all(|(status, _)| status == "alive")
    };
    board.wait_until("all alive", &addresses, all_alive);

    let killed = processes.remove(3);
    killed.signal(Signal::KILL);
    let frozen = processes.remove(4);
    let frozen_at = board.lines.lock().unwrap()[&frozen.address].own;
    frozen.signal(Signal::STOP);
    let others: Vec<_> = processes.iter().map(|process| process.address).collect();
    board.wait_until("the killed one dead", &others, |line| {
        is(line, killed.address, &["dead"])
    });
    board.wait_until("the frozen one accused", &others, |line| {
        is(line, frozen.address, &["suspect", "dead"])
    });

    frozen.signal(Signal::CONT);
    board.wait_until("the frozen one refuted", &others, |line| {
        let state = line.members.get(&frozen.address);
        state.is_some_and(|(status, incarnation)| status == "alive" && *incarnation > frozen_at)
    });
    board.wait_until("it sees the others", &[frozen.address], |line| {
        others.iter().all(|other| is(line, *other, &["alive"]))
            && is(line, killed.address, &["dead"])
    });

    let mut leaving = processes.remove(1);
    leaving.signal(Signal::TERM);
    let others: Vec<_> = processes.iter().map(|process| process.address).collect();
    board.wait_until("the last one left", &others, |line| {
        is(line, leaving.address, &["left"])
    });
    assert!(leaving.child.wait().unwrap().success());
}
