//! A view lent to another thread.
//~ ViewStaysOnItsThread_EndItsBlockBeforeAwait` cannot be shared between threads safely
//~ required because it appears within the type `View<'_, u32>`
use incarnation::IncarnationTracker;

fn main() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    std::thread::scope(|scope| {
        let view = tracker.pin();
        scope.spawn(|| view.get(&1));
    });
}
