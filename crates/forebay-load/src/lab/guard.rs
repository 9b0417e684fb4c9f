//! Ends what we started when we ourselves are gone, however that came.
//!
//! A shell waits at the other end of a pipe. We tell it which process groups are ours; when the pipe closes and
//! some are left, it ends them. What was killed cannot clean up, so somebody else has to.

use std::io::Write as _;
use std::os::unix::process::CommandExt as _;
use std::process::{Child, ChildStdin, Command, Stdio};

use super::Error;

/// Reads `+ group` and `- group` until the pipe closes, then ends the groups that are left.
const SCRIPT: &str = r#"
groups=
while read -r change group; do
    case $change in
    +) groups="$groups $group" ;;
    -)
        rest=
        for one in $groups; do [ "$one" = "$group" ] || rest="$rest $one"; done
        groups=$rest
        ;;
    esac
done
[ -n "$groups" ] || exit 0
for one in $groups; do kill -s TERM -- "-$one"; kill -s CONT -- "-$one"; done
sleep 2
for one in $groups; do kill -s KILL -- "-$one"; done
"#;

/// The shell; ends by itself when dropped, once nothing is left to end.
#[derive(Debug)]
pub(super) struct Guard {
    shell: Child,
    pipe: Option<ChildStdin>,
}

impl Guard {
    pub(super) fn start() -> Result<Self, Error> {
        let mut shell = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "forebay-guard"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            // Ctrl-C is for us; the guard outlives it.
            .process_group(0)
            .spawn()
            .map_err(|error| {
                Error::new(format!(
                    "cannot start /bin/sh, which ends the plan's processes should this one be killed: {error}"
                ))
            })?;
        let pipe = shell.stdin.take();
        Ok(Self { shell, pipe })
    }

    /// From now on the group is ended with us.
    pub(super) fn add(&mut self, group: u32) {
        self.tell('+', group);
    }

    /// The group is about to be gone.
    pub(super) fn remove(&mut self, group: u32) {
        self.tell('-', group);
    }

    fn tell(&mut self, change: char, group: u32) {
        if let Some(pipe) = &mut self.pipe {
            // Without a guard we still end everything ourselves, unless we are killed.
            let _ = writeln!(pipe, "{change} {group}");
        }
    }
}

impl Drop for Guard {
    fn drop(&mut self) {
        self.pipe = None;
        let _ = self.shell.wait();
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    /// A process in a group of its own, and the pipe that closes when it ends.
    fn sleeper() -> Child {
        Command::new("sleep")
            .arg("60")
            .stdout(Stdio::piped())
            .process_group(0)
            .spawn()
            .expect("every system can sleep")
    }

    fn output_closes(child: &mut Child) {
        let mut output = child.stdout.take().expect("it is piped");
        output.read_to_end(&mut Vec::new()).expect("a pipe can be read");
    }

    #[test]
    fn what_is_left_when_the_pipe_closes_is_ended() {
        let mut left = sleeper();
        let mut taken_back = sleeper();
        let mut guard = Guard::start().expect("there is a shell");
        guard.add(left.id());
        guard.add(taken_back.id());
        guard.remove(taken_back.id());
        drop(guard);
        output_closes(&mut left);
        assert!(!left.wait().expect("it is our child").success());
        assert!(matches!(taken_back.try_wait(), Ok(None)));
        taken_back.kill().expect("it is our child");
        taken_back.wait().expect("it is our child");
    }
}
