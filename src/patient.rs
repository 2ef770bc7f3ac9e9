//! Output that waits: where a pipe is full and whoever made it does not let a writer wait, that is no error.

use std::io::{self, Write};

/// What a program of today writes to.
#[cfg(unix)]
pub trait Output: Write + std::os::fd::AsFd {}
#[cfg(unix)]
impl<W: Write + std::os::fd::AsFd> Output for W {}

/// What a program of today writes to.
#[cfg(not(unix))]
pub trait Output: Write {}
#[cfg(not(unix))]
impl<W: Write> Output for W {}

/// Writes as what is in it, and waits where that does not.
#[derive(Debug)]
pub struct Patient<W>(pub W);

impl<W: Output> Patient<W> {
    fn retry<T>(&mut self, write: impl Fn(&mut W) -> io::Result<T>) -> io::Result<T> {
        loop {
            match write(&mut self.0) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => wait(&self.0)?,
                result => return result,
            }
        }
    }
}

impl<W: Output> Write for Patient<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.retry(|out| out.write(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        self.retry(W::flush)
    }
}

/// Waits until something can be written again, or never will be.
#[cfg(unix)]
fn wait(out: &impl std::os::fd::AsFd) -> io::Result<()> {
    use rustix::event::{PollFd, PollFlags, poll};
    match poll(&mut [PollFd::new(out, PollFlags::OUT)], None) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

#[cfg(not(unix))]
fn wait(_: &impl Write) -> io::Result<()> {
    std::thread::sleep(std::time::Duration::from_millis(10));
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;
    use std::io::Read;
    use std::os::unix::net::UnixStream;

    #[test]
    fn what_is_full_is_waited_for() {
        let (mut reader, writer) = UnixStream::pair().unwrap();
        writer.set_nonblocking(true).unwrap();
        let sent = vec![7; 1 << 20];
        let expected = sent.len();
        let writing = std::thread::spawn(move || Patient(writer).write_all(&sent));
        let mut received = Vec::new();
        reader.read_to_end(&mut received).unwrap();
        writing.join().unwrap().unwrap();
        assert_eq!(received.len(), expected);
    }
}
