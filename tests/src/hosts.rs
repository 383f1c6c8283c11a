//! Hosts on this machine, each in a network namespace with an address of its own, and wires between them that can be cut.
//!
//! A bridge in this machine's own namespace is their switch, and how clients reach them. It takes ip(8) and the rights of root.

use std::process::Command;

/// Hosts, numbered from 0. They are gone when this is dropped.
#[derive(Debug)]
pub struct Hosts {
    /// What names begin with; ip(8) takes 15 characters.
    name: String,
    /// Three parts of an address.
    net: String,
    count: usize,
}

/// An address of Ethernet that nobody has: what is sent there is lost, and the sender is told nothing.
const NOBODY: &str = "02:00:00:00:00:99";

fn ip(arguments: &str) -> Result<(), String> {
    let output = Command::new("ip").args(arguments.split(' ')).output();
    let output = output.map_err(|error| format!("ip(8) of iproute2 cannot be run: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let why = String::from_utf8_lossy(&output.stderr);
    Err(format!("`ip {arguments}`: {} (network namespaces take the rights of root)", why.trim()))
}

impl Hosts {
    /// Makes hosts that are all connected.
    ///
    /// # Errors
    /// Why this machine has no network namespaces.
    pub fn new(count: usize) -> Result<Self, String> {
        let process = std::process::id();
        let (name, net) = (format!("lh{}", process % 100_000), format!("10.77.{}", process % 250));
        let hosts = Self { name, net, count };
        let Self { name, net, .. } = &hosts;
        ip(&format!("link add {name} type bridge"))?;
        ip(&format!("address add {net}.254/24 dev {name}"))?;
        ip(&format!("link set {name} up"))?;
        for host in 0..count {
            let (space, address) = (hosts.namespace(host), hosts.address(host));
            ip(&format!("netns add {space}"))?;
            ip(&format!("link add {space} type veth peer name eth0 netns {space}"))?;
            ip(&format!("link set {space} master {name}"))?;
            ip(&format!("link set {space} up"))?;
            ip(&format!("-n {space} address add {address}/24 dev eth0"))?;
            ip(&format!("-n {space} link set lo up"))?;
            ip(&format!("-n {space} link set eth0 up"))?;
        }
        Ok(hosts)
    }

    fn namespace(&self, host: usize) -> String {
        format!("{}-{host}", self.name)
    }

    /// The address of a host.
    pub fn address(&self, host: usize) -> String {
        format!("{}.{}", self.net, host + 1)
    }

    /// The same command, on a host.
    pub fn command(&self, host: usize, command: &Command) -> Command {
        let mut on_host = Command::new("ip");
        on_host.args(["netns", "exec", &self.namespace(host)]);
        on_host.arg(command.get_program()).args(command.get_args());
        for (variable, value) in command.get_envs() {
            match value {
                Some(value) => on_host.env(variable, value),
                None => on_host.env_remove(variable),
            };
        }
        on_host
    }

    /// Cuts the wire from one host to another, in that direction.
    pub fn cut(&self, from: usize, to: usize) {
        let (space, address) = (self.namespace(from), self.address(to));
        ip(&format!("-n {space} neigh replace {address} lladdr {NOBODY} dev eth0 nud permanent"))
            .expect("a wire can be cut");
    }

    /// Cuts all wires between two groups, in both directions.
    pub fn part(&self, some: &[usize], others: &[usize]) {
        for (one, other) in some.iter().flat_map(|one| others.iter().map(move |o| (*one, *o))) {
            self.cut(one, other);
            self.cut(other, one);
        }
    }

    /// Mends all wires.
    pub fn heal(&self) {
        for host in 0..self.count {
            let space = self.namespace(host);
            ip(&format!("-n {space} neigh flush nud permanent dev eth0"))
                .expect("wires can be mended");
        }
    }
}

impl Drop for Hosts {
    fn drop(&mut self) {
        for host in 0..self.count {
            // What was not made cannot be removed.
            let _gone = ip(&format!("netns del {}", self.namespace(host)));
            let _gone = ip(&format!("link del {}", self.namespace(host)));
        }
        let _gone = ip(&format!("link del {}", self.name));
    }
}
