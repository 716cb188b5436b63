use super::{HeadLimits, HttpError};

/// Finds the end of a head that arrives in pieces.
///
/// It reads each byte once, so a peer that sends single bytes causes no extra work. (To parse again
/// after every read takes quadratic time.) An invalid head is refused at the first byte that makes
/// it invalid, however the bytes are split.
///
/// ```
/// use eventwire::proto::http::{HeadLimits, HeadScanner};
///
/// let mut scanner = HeadScanner::new(HeadLimits::default());
/// assert_eq!(scanner.scan(b"GET / HTTP/1.1\r\nHost: a\r"), Ok(None));
/// assert_eq!(scanner.scan(b"\n\r\n\x81\x80"), Ok(Some(3)));
/// ```
#[derive(Clone, Debug)]
pub struct HeadScanner {
    // 32 bits are enough, and keep a pending connection small.
    max_bytes: u32,
    max_line: u32,
    max_headers: u32,
    /// Bytes of the head so far. At most `max_bytes`.
    bytes: u32,
    /// Bytes of the line so far. At most `max_line`.
    line: u32,
    /// Header lines that have begun. At most `max_headers`. Zero in the first line.
    headers: u32,
    state: State,
}

/// ```text
/// Start ──▶ Line ──CR──▶ LineEnd ──LF──▶ LineStart ──CR──▶ HeadEnd ──LF──▶ Done
///             ▲                              │
///             └──────────────────────────────┘
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Start,
    Line,
    LineEnd,
    LineStart,
    HeadEnd,
    Done,
}

impl HeadScanner {
    /// A scanner at the start of a head. Limits over `u32::MAX` become `u32::MAX`.
    #[must_use]
    pub fn new(limits: HeadLimits) -> Self {
        let clamp = |limit| u32::try_from(limit).unwrap_or(u32::MAX);
        Self {
            max_bytes: clamp(limits.bytes),
            max_line: clamp(limits.line),
            max_headers: clamp(limits.headers),
            bytes: 0,
            line: 0,
            headers: 0,
            state: State::Start,
        }
    }

    /// Goes to the start of another head.
    pub(crate) const fn restart(&mut self) {
        self.bytes = 0;
        self.line = 0;
        self.headers = 0;
        self.state = State::Start;
    }

    /// A scanner at the start of the trailers behind a chunked body: header lines, and the empty
    /// line that ends them (RFC 9112 §7.1.2).
    pub(crate) fn trailers(limits: HeadLimits) -> Self {
        Self { state: State::LineStart, ..Self::new(limits) }
    }

    /// Whether no byte of the head has arrived.
    pub(crate) fn is_at_start(&self) -> bool {
        self.state == State::Start
    }

    /// How many bytes of the head were scanned, an invalid byte included.
    pub(crate) const fn scanned(&self) -> usize {
        self.bytes as usize
    }

    /// Scans the next piece of the head. Returns `Some(n)` if the head ends after `n` bytes of the
    /// piece, and `None` if it goes on. After the end of the head it returns `Some(0)`.
    ///
    /// # Errors
    ///
    /// The first error in the head. After an error the results of further calls are meaningless.
    pub fn scan(&mut self, piece: &[u8]) -> Result<Option<usize>, HttpError> {
        let mut index = 0;
        while self.state != State::Done {
            index += self.skip(&piece[index..]);
            if self.state == State::Done {
                break;
            }
            let Some(&byte) = piece.get(index) else {
                return Ok(None);
            };
            self.step(byte)?;
            index += 1;
        }
        Ok(Some(index))
    }

    /// Reads the front of `piece` as [`step`](Self::step) would, a line at a time, up to a limit or
    /// the first byte that `step` must check. Nearly all heads are read whole.
    fn skip(&mut self, piece: &[u8]) -> usize {
        let mut rest = piece;
        self.enter_line(rest);
        while self.state == State::Line {
            rest = self.skip_text(rest);
            let Some(behind) = self.end_line(rest, State::LineStart) else {
                break;
            };
            rest = behind;
            self.enter_line(rest);
        }
        if self.state == State::LineStart {
            rest = self.end_line(rest, State::Done).unwrap_or(rest);
        }
        piece.len() - rest.len()
    }

    /// Reads the end of a line if it is whole, and goes to the state `next`. Returns what follows.
    fn end_line<'a>(&mut self, piece: &'a [u8], next: State) -> Option<&'a [u8]> {
        let behind = piece.strip_prefix(b"\r\n")?;
        if self.max_bytes - self.bytes < 2 {
            return None;
        }
        self.bytes += 2;
        self.line = 0;
        self.state = next;
        Some(behind)
    }

    /// Enters the line that `piece` begins, if the line may begin so. Reads nothing.
    fn enter_line(&mut self, piece: &[u8]) {
        let begins_line = |&byte: &u8| byte > b' ' && is_text_byte(byte);
        if !piece.first().is_some_and(begins_line) {
            return;
        }
        match self.state {
            State::Start => self.state = State::Line,
            State::LineStart if self.headers < self.max_headers => {
                self.headers += 1;
                self.state = State::Line;
            }
            _ => {}
        }
    }

    /// Skips the ordinary bytes of a line, many at a time. Returns what follows.
    fn skip_text<'a>(&mut self, piece: &'a [u8]) -> &'a [u8] {
        let room = (self.max_line - self.line).min(self.max_bytes - self.bytes) as usize;
        let count = text_len(&piece[..piece.len().min(room)]);
        // At most `room`, which was a `u32`.
        self.line += count as u32;
        self.bytes += count as u32;
        &piece[count..]
    }

    /// Checks that `head` is exactly one whole head.
    pub(crate) fn check(head: &[u8], limits: &HeadLimits) -> Result<(), HttpError> {
        match Self::new(*limits).scan(head)? {
            Some(end) if end == head.len() => Ok(()),
            _ => Err(HttpError::HeadBoundary),
        }
    }

    fn step(&mut self, byte: u8) -> Result<(), HttpError> {
        if self.bytes == self.max_bytes {
            return Err(HttpError::HeadTooLarge { limit: self.max_bytes as usize });
        }
        self.bytes += 1;
        self.state = match (self.state, byte) {
            (State::LineEnd, b'\n') => {
                self.line = 0;
                State::LineStart
            }
            (State::HeadEnd, b'\n') => State::Done,
            (State::LineStart, b'\r') => State::HeadEnd,
            (State::Line, b'\r') => State::LineEnd,
            // RFC 9112 §2.2 lets a server skip empty lines here. A proxy may treat them
            // differently.
            (State::Start, b'\r' | b'\n') => return Err(HttpError::LeadingEmptyLine),
            (State::LineEnd | State::HeadEnd, _) | (_, b'\n') => {
                return Err(HttpError::InvalidLineEnding);
            }
            (State::Start, b' ' | b'\t') => return Err(HttpError::InvalidStartLine),
            (State::LineStart, b' ' | b'\t') => return Err(HttpError::LineFolding),
            (_, byte) if !is_text_byte(byte) => {
                return Err(HttpError::InvalidByte(byte));
            }
            (State::LineStart, _) => self.begin_header()?,
            (State::Start | State::Line | State::Done, _) => self.extend_line()?,
        };
        Ok(())
    }

    fn begin_header(&mut self) -> Result<State, HttpError> {
        if self.headers == self.max_headers {
            return Err(HttpError::TooManyHeaders { limit: self.max_headers as usize });
        }
        self.headers += 1;
        self.extend_line()
    }

    fn extend_line(&mut self) -> Result<State, HttpError> {
        if self.line == self.max_line {
            let limit = self.max_line as usize;
            return Err(match self.headers {
                0 => HttpError::StartLineTooLong { limit },
                _ => HttpError::HeaderLineTooLong { limit },
            });
        }
        self.line += 1;
        Ok(State::Line)
    }
}

/// Whether a line may contain `byte`.
const fn is_text_byte(byte: u8) -> bool {
    !byte.is_ascii_control() || byte == b'\t'
}

/// The number of bytes at the front that a line may contain.
fn text_len(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    while let Some((word, behind)) = rest.split_first_chunk() {
        let controls = controls(u64::from_le_bytes(*word));
        if controls == 0 {
            rest = behind;
            continue;
        }
        rest = &rest[controls.trailing_zeros() as usize / 8..];
        // A tab counts as a control character and is allowed. It is rare.
        let [b'\t', behind @ ..] = rest else {
            return bytes.len() - rest.len();
        };
        rest = behind;
    }
    let text = rest.iter().take_while(|&&byte| is_text_byte(byte));
    bytes.len() - rest.len() + text.count()
}

/// The positions of control characters among eight bytes, as the highest bit of each byte. The
/// first byte is the lowest. Only the lowest position is exact: bits above it may be wrong.
const fn controls(word: u64) -> u64 {
    const EACH: u64 = u64::from_ne_bytes([1; 8]);
    const HIGHEST: u64 = EACH << 7;
    let delete = word ^ (EACH * 0x7F);
    let is_below_space = word.wrapping_sub(EACH * 0x20) & !word;
    let is_delete = delete.wrapping_sub(EACH) & !delete;
    (is_below_space | is_delete) & HIGHEST
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn scan(head: &[u8]) -> Result<Option<usize>, HttpError> {
        HeadScanner::new(HeadLimits::default()).scan(head)
    }

    #[test]
    fn finds_the_end() {
        let mut scanner = HeadScanner::new(HeadLimits::default());
        assert_eq!(scanner.scan(b""), Ok(None));
        assert_eq!(scanner.scan(b"a\tb\xff\r\nc: d\r\n\r"), Ok(None));
        assert_eq!(scanner.scan(b"\nrest"), Ok(Some(1)));
        assert_eq!(scanner.scan(b"\n\0"), Ok(Some(0)));
        assert!(size_of::<HeadScanner>() <= 32);
    }

    #[test]
    fn refuses_at_the_first_wrong_byte() {
        for (head, error) in [
            (&b"\r"[..], HttpError::LeadingEmptyLine),
            (b"\n", HttpError::LeadingEmptyLine),
            (b" ", HttpError::InvalidStartLine),
            (b"\t", HttpError::InvalidStartLine),
            (b"\0", HttpError::InvalidByte(0)),
            (b"GET\n", HttpError::InvalidLineEnding),
            (b"GET\ra", HttpError::InvalidLineEnding),
            (b"GET\r\r", HttpError::InvalidLineEnding),
            (b"GET\x7f", HttpError::InvalidByte(0x7f)),
            (b"GET\r\n ", HttpError::LineFolding),
            (b"GET\r\n\t", HttpError::LineFolding),
            (b"GET\r\n\n", HttpError::InvalidLineEnding),
            (b"GET\r\n\ra", HttpError::InvalidLineEnding),
            (b"GET\r\na: b\0", HttpError::InvalidByte(0)),
            (b"GET\r\na: b\x0b", HttpError::InvalidByte(0x0b)),
            (b"GET\r\na: b\n", HttpError::InvalidLineEnding),
            (b"GET\r\na: b\r\r\n", HttpError::InvalidLineEnding),
        ] {
            assert_eq!(scan(head), Err(error), "{}", head.escape_ascii());
        }
    }

    #[test]
    fn every_byte_is_checked_at_every_position() {
        for at in 0..50 {
            for byte in 0..=u8::MAX {
                let mut head = [b'x'; 50];
                head[at] = byte;
                let mut scanner = HeadScanner::new(HeadLimits::default());
                let mut steps = HeadScanner::new(HeadLimits::default());
                let stepped = head.iter().try_for_each(|&byte| steps.step(byte));
                assert_eq!(scanner.scan(&head), stepped.map(|()| None), "{byte} at {at}");
                assert_eq!(scanner.line, steps.line);
                assert_eq!(scanner.bytes, steps.bytes);
            }
        }
    }

    #[test]
    fn every_limit_is_exact() {
        let limits = HeadLimits { bytes: 24, line: 8, headers: 2 };
        let scan = |head: &[u8]| HeadScanner::new(limits).scan(head);
        assert_eq!(scan(b"12345678\r\n12345678\r\n\r\n"), Ok(Some(22)));
        assert_eq!(scan(b"12345678\r\n12345\r\n123\r\n\r\n"), Ok(Some(24)));
        assert_eq!(
            scan(b"12345678\r\n12345\r\n1234\r\n\r\n"),
            Err(HttpError::HeadTooLarge { limit: 24 })
        );
        assert_eq!(scan(b"123456789"), Err(HttpError::StartLineTooLong { limit: 8 }));
        assert_eq!(scan(b"1\r\n123456789"), Err(HttpError::HeaderLineTooLong { limit: 8 }));
        assert_eq!(scan(b"1\r\n2\r\n3\r\n\r\n"), Ok(Some(11)));
        assert_eq!(scan(b"1\r\n2\r\n3\r\n4"), Err(HttpError::TooManyHeaders { limit: 2 }));
        let nothing = HeadLimits { bytes: 0, line: 0, headers: 0 };
        assert_eq!(HeadScanner::new(nothing).scan(b"G"), Err(HttpError::HeadTooLarge { limit: 0 }));
    }

    proptest! {
        #[test]
        fn any_split_gives_the_same_answer(
            head in proptest::collection::vec(
                prop_oneof![
                    4 => Just(&b"x"[..]),
                    2 => Just(&b"\r\n"[..]),
                    1 => Just(&b"\r"[..]),
                    1 => Just(&b"\n"[..]),
                    1 => Just(&b" "[..]),
                    1 => Just(&b"\0"[..]),
                    1 => Just(&b"\r\n\r\n"[..]),
                ],
                0..24,
            ),
            cuts in proptest::collection::vec(0_usize..40, 0..8),
        ) {
            let head = head.concat();
            let limits = HeadLimits { bytes: 32, line: 6, headers: 4 };
            let whole = HeadScanner::new(limits).scan(&head);
            let mut cuts: Vec<_> = cuts.into_iter().map(|cut| cut.min(head.len())).collect();
            cuts.push(head.len());
            cuts.sort_unstable();
            let mut scanner = HeadScanner::new(limits);
            let mut start = 0;
            let mut answer = Ok(None);
            for cut in cuts {
                answer = scanner.scan(&head[start..cut]).map(|end| end.map(|end| start + end));
                if answer != Ok(None) {
                    break;
                }
                start = cut;
            }
            prop_assert_eq!(&answer, &whole);
            let mut steps = HeadScanner::new(limits);
            let mut count = 0;
            let stepped = head.iter().try_for_each(|&byte| {
                if steps.state != State::Done {
                    count += 1;
                    steps.step(byte)?;
                }
                Ok(())
            });
            let stepped = stepped.map(|()| (steps.state == State::Done).then_some(count));
            prop_assert_eq!(whole, stepped);
        }
    }
}
