//! Failovers of a real cluster under writing applications: the writer is killed, steps down,
//! freezes, or is partitioned from the network.

use std::{process::Command, sync::Arc, time::Duration};

use tokio::time::{Instant, sleep};

use crate::{
    Result,
    cluster::{Cluster, Mysql57, Postgres},
    environment::Observation,
    output,
    prerequisites::Prerequisites,
    report::Report,
    scratch::Scratch,
    service::finish,
};

mod application;
mod roles;

use application::{Activity, Application, Strike};

/// Set if this program runs in its own network namespace.
pub(crate) const APART: &str = "INTEGRATION_APART";

/// The arguments of `ip` that cut the first writer off; open connections go silent.
const CUT_OFF: &str = "route add blackhole 127.0.1.1/32 table local";

/// The fault of the writer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Fault {
    Freeze,
    Kill,
    /// Its packets are dropped, and it keeps running.
    Partition,
    Switch,
}

/// Runs every fault on its own cluster, with one application for each activity.
pub(crate) async fn run(prerequisites: &Prerequisites, scratch: &Scratch, report: &mut Report) -> Result<()> {
    faults::<Postgres>(prerequisites, scratch, report).await?;
    apart(report).await
}

/// Runs the same at MySQL, and the roles of its instances.
pub(crate) async fn mysql57(
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    report: &mut Report,
) -> Result<()> {
    roles::run(prerequisites, scratch, report).await?;
    faults::<Mysql57>(prerequisites, scratch, report).await
}

/// Partitions the writer; only in this program's own network namespace.
pub(crate) async fn partition(
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    mut report: Report,
) -> Result<()> {
    strike::<Postgres>(Fault::Partition, prerequisites, scratch, &mut report).await?;
    report.finish()
}

/// Runs this program again in its own network namespace, for [`partition`].
async fn apart(report: &mut Report) -> Result<()> {
    let case = "failover: Partition, in a network of its own";
    // A namespace of its own, since the black hole must not swallow packets of this machine.
    let network = |script: &str| {
        let mut command = tokio::process::Command::new("unshare");
        command.args(["--net", "sh", "-c", &format!("ip link set lo up && {script}")]).kill_on_drop(true);
        command
    };
    // Tried first: in containers root often may not create a namespace.
    let tried = network(&format!("ip {CUT_OFF}")).output().await;
    if !tried.is_ok_and(|tried| tried.status.success()) {
        report.skipped("postgresql", case, "it takes root, `unshare` and `ip`");
        return Ok(());
    }
    let mut program = network("exec \"$0\" \"$@\"");
    program.arg(std::env::current_exe()?).args(std::env::args_os().skip(1)).env(APART, "1");
    let ran = program.output().await?;
    let said = String::from_utf8_lossy(&[ran.stdout, ran.stderr].concat()).into_owned();
    // The times are shown, and the child's whole table counts as one row here.
    said.lines().filter(|line| line.starts_with("saw ")).for_each(output::line);
    let text = if ran.status.success() { "as expected" } else { "differs" }.to_owned();
    let details = said.lines().map(str::to_owned).collect();
    report.row("postgresql", case, "as expected", &Observation { text, details });
    Ok(())
}

async fn faults<C: Cluster>(
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    report: &mut Report,
) -> Result<()> {
    for fault in [Fault::Kill, Fault::Switch, Fault::Freeze] {
        strike::<C>(fault, prerequisites, scratch, report).await?;
    }
    Ok(())
}

async fn strike<C: Cluster>(
    fault: Fault,
    prerequisites: &Prerequisites,
    scratch: &Scratch,
    report: &mut Report,
) -> Result<()> {
    let folder = format!("cluster-{}-{fault:?}", C::ENGINE.name());
    let mut cluster = C::start(prerequisites, scratch, &folder).await?;
    let times: Arc<Strike> = Arc::default();
    let mut applications = Vec::new();
    for activity in [Activity::Idle, Activity::InFlight, Activity::InTransaction, Activity::TwentyWaiting] {
        applications.push(Application::start(&cluster, activity, Arc::clone(&times)).await?);
    }
    let mut running = Vec::new();
    for application in &applications {
        running.push((application.activity(), application.engage().await?));
    }
    // Statements are under way.
    sleep(Duration::from_millis(200)).await;
    let _ = times.begun.set(Instant::now());
    match fault {
        Fault::Freeze => cluster.nodes_mut().freeze("a")?,
        Fault::Kill => cluster.kill("a")?,
        Fault::Partition => {
            let mut ip = Command::new("ip");
            ip.args(CUT_OFF.split(' '));
            finish(ip)?;
        }
        Fault::Switch => cluster.step_down("a").await?,
    }
    let _ = times.demoted.set(Instant::now());
    // On AWS the cluster does this by itself; here no process watches the writer.
    cluster.promote("b").await?;
    let up = Instant::now();
    for (application, (activity, mut tasks)) in applications.iter().zip(running) {
        // The idle applications write only now, over pools that were filled before the fault.
        while tasks.len() < activity.tasks() {
            tasks.spawn(application.write());
        }
        application.row(&format!("failover: {fault:?}, {activity:?}"), up, tasks, report).await;
    }
    Ok(())
}
