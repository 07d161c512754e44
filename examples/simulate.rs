fn main() {
    let nodes: usize = std::env::args().nth(1).unwrap().parse().unwrap();
    for seed in 0..std::env::args().nth(2).unwrap().parse().unwrap() {
        let start = std::time::Instant::now();
        let o = incarnation_swim::sim::scenario::life(nodes, seed);
        println!("{seed} {:?} started {:?} susp {} det {:?} diss {:?} known {:?} false {} healed {:?} ref {} dg {} {:x}", start.elapsed(), o.started, o.suspicions_in_peace, o.detection, o.dissemination, o.death_known, o.false_deaths, o.healed, o.refutations, o.datagrams, o.digest);
    }
}
