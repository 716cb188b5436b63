//! The application's events: what each source published, and what was handled.

use eventwire::{Context, EventHandler, PublishError};

use super::app::App;

/// How many events one queue holds.
pub(super) const INBOX: usize = 64;

/// One event. Source 0 is the handlers, the others are publishers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct News {
    source: usize,
    number: u64,
}

/// What each source published and what of it was handled.
#[derive(Debug, Default)]
pub(super) struct NewsDesk {
    published: Vec<u64>,
    arrived: Vec<u64>,
    /// Everything in the order in which it was handled.
    pub(super) log: Vec<News>,
    /// Calls of the second handler.
    confirmed: usize,
    /// How many there were at the end of the last batch.
    batched: usize,
    /// Given back because a queue was full.
    pub(super) refused: u64,
}

impl NewsDesk {
    pub(super) fn add_source(&mut self) -> usize {
        self.published.push(0);
        self.arrived.push(0);
        self.published.len() - 1
    }

    /// The next event of a source.
    pub(super) fn next(&self, source: usize) -> News {
        News { source, number: self.published[source] }
    }

    /// Notes what became of publishing the next event of a source; `false` if it was not taken.
    pub(super) fn note(&mut self, source: usize, outcome: Result<(), PublishError<News>>) -> bool {
        let news = self.next(source);
        let waiting = self.published[source] - self.arrived[source];
        match outcome {
            Ok(()) => {
                assert!(waiting < INBOX as u64, "{waiting} wait, and one more was taken");
                self.published[source] += 1;
                return true;
            }
            Err(PublishError::Full(back)) => {
                assert_eq!(back, news, "another event was given back");
                assert!(waiting >= INBOX as u64, "{waiting} wait, and the queue is full");
                self.refused += 1;
            }
            Err(PublishError::Closed(back) | PublishError::NoHandler(back)) => {
                assert_eq!(back, news, "another was given back");
            }
        }
        false
    }

    fn arrive(&mut self, news: News) {
        let News { source, number } = news;
        assert_eq!(number, self.arrived[source], "source {source} is out of order");
        assert!(number < self.published[source], "{news:?} was not published");
        self.arrived[source] += 1;
        self.log.push(news);
    }

    /// How many of each source were published.
    pub(super) fn published(&self) -> Vec<u64> {
        self.published.clone()
    }

    /// Whether as many as these were handled.
    pub(super) fn has_arrived(&self, published: &[u64]) -> bool {
        published.iter().zip(&self.arrived).all(|(published, arrived)| arrived >= published)
    }

    /// How many wait.
    pub(super) fn waiting(&self) -> u64 {
        self.published.iter().sum::<u64>() - self.arrived.iter().sum::<u64>()
    }

    /// Both handlers were called for every event, and at the end of each batch.
    pub(super) fn check(&self) {
        assert_eq!(self.confirmed, self.log.len(), "the second handler was not called");
        assert_eq!(self.batched, self.log.len(), "on_batch_end was not called");
    }
}

/// The first handler of [`News`].
pub(super) struct Reader;

impl EventHandler<News, App> for Reader {
    fn on_event(&mut self, cx: &mut Context<'_>, news: &News, app: &mut App) {
        app.enter(cx);
        app.handled += 1;
        app.news.arrive(*news);
        app.act_for_others(cx);
        app.may_panic(None, cx);
    }

    fn on_batch_end(&mut self, cx: &mut Context<'_>, app: &mut App) {
        app.enter(cx);
        assert!(app.news.batched < app.news.log.len(), "a batch of nothing has ended");
        app.news.batched = app.news.log.len();
        app.may_panic(None, cx);
    }
}

/// The second handler of [`News`], which gets the same events as the first.
pub(super) fn confirm(cx: &mut Context<'_>, news: &News, app: &mut App) {
    app.enter(cx);
    assert_eq!(app.news.log.last(), Some(news), "the handlers get different events");
    app.news.confirmed += 1;
    assert_eq!(app.news.confirmed, app.news.log.len(), "the second handler was not called");
    app.may_panic(None, cx);
}

impl App {
    /// Publishes from a handler.
    pub(super) fn publish(&mut self, cx: &mut Context<'_>) {
        for _ in 0..self.random.pick(&[1, 1, 3, 90]) {
            let outcome = cx.publish(self.news.next(0));
            let ended = matches!(outcome, Err(PublishError::Closed(_)));
            assert!(!ended || self.stopping, "the loop has ended too early");
            if !self.news.note(0, outcome) {
                return;
            }
        }
    }
}
