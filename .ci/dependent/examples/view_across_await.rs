//! A view that a task holds across an await, where the runtime may move the task to another thread.
//~ future cannot be sent between threads safely
//~ ViewStaysOnItsThread_EndItsBlockBeforeAwait
//~ has type `View<'_, u32>` which is not `Send`
//!~ asymmetric
use incarnation::IncarnationTracker;

fn spawn(_: impl Future<Output = ()> + Send + 'static) {}

fn main() {
    let tracker: IncarnationTracker<u32> = IncarnationTracker::builder().build().unwrap();
    spawn(async move {
        let view = tracker.pin();
        std::future::ready(()).await;
        let _ = view.get(&1);
    });
}
