//! A box that runs for a measurement: the real program, in a temporary place, spoken to through its control socket.

use std::fs;
use std::io;
use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1;
use hyper::{Request, StatusCode};
use hyper_util::rt::TokioIo;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use tokio::net::UnixStream;
use wire::sealed::ShowKey;

/// What can go wrong while a box is measured.
#[derive(Debug, thiserror::Error)]
pub enum BoxError {
    /// Build it first.
    #[error("{0} is not there; `cargo build --release --locked` makes it")]
    NotBuilt(PathBuf),
    /// Its own words are in the log.
    #[error("the box {how}; it said:\n{log}")]
    Silent {
        /// Ended, or hangs.
        how: &'static str,
        /// What it wrote.
        log: String,
    },
    /// The command does not suit the state it is in.
    #[error("{command} was refused: {answer}")]
    Refused {
        /// What was asked.
        command: String,
        /// What came back.
        answer: String,
    },
    /// The socket broke.
    #[error("could not speak with the box: {0}")]
    Socket(#[from] hyper::Error),
    /// A file or a socket of this machine.
    #[error("{what}: {source}")]
    Machine {
        /// What was tried.
        what: String,
        /// Why not.
        source: io::Error,
    },
}

impl BoxError {
    /// For `map_err`.
    pub fn machine(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Machine { what, source }
    }
}

/// From its start until it must have answered, a loaded machine included.
const PATIENCE: Duration = Duration::from_secs(20);
/// A planned exit is over within 5 s; twice that is a fault.
const EXIT: Duration = Duration::from_secs(10);

/// Where a box runs: a temporary folder and ports of its own.
pub struct Place {
    program: PathBuf,
    show: PathBuf,
    folder: TempDir,
    http: SocketAddr,
    https: SocketAddr,
}

impl Place {
    /// Of a box that is to run this show. `more` goes into its box file.
    pub fn new(program: &Path, show: &Path, more: &str) -> Result<Self, BoxError> {
        if !program.is_file() {
            return Err(BoxError::NotBuilt(program.to_owned()));
        }
        let folder = TempDir::new().map_err(BoxError::machine("a temporary folder"))?;
        let [http, https] = write_box_file(&folder.path().join("box.toml"), more)?;
        Ok(Self { program: program.to_owned(), show: show.to_owned(), folder, http, https })
    }

    /// Has it find this in its state folder.
    pub fn keep(&self, name: &str, text: &str) -> Result<(), BoxError> {
        fs::create_dir_all(self.state())
            .and_then(|()| fs::write(self.state().join(name), text))
            .map_err(BoxError::machine(name))
    }

    /// Starts `downbeat run` with everything that would touch the machine simulated, and waits until it answers.
    pub async fn run(self) -> Result<Running, BoxError> {
        let child = self.spawn()?;
        let mut running = Running { place: self, child };
        running.wait_until_it_answers().await?;
        Ok(running)
    }

    fn spawn(&self) -> Result<Child, BoxError> {
        let log = fs::File::create(self.log()).map_err(BoxError::machine("log"))?;
        let errors = log.try_clone().map_err(BoxError::machine("log"))?;
        let mut command = Command::new(&self.program);
        command.arg("run").arg(&self.show).arg("--simulate");
        command.arg("--box").arg(self.folder.path().join("box.toml"));
        command.arg("--state").arg(self.state()).arg("--socket").arg(self.socket());
        command.stdin(Stdio::null()).stdout(log).stderr(errors);
        command.spawn().map_err(BoxError::machine("the program"))
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn log(&self) -> PathBuf {
        self.folder.path().join("log")
    }

    fn socket(&self) -> PathBuf {
        self.folder.path().join("socket")
    }
}

/// A running box. Dropping it is its planned exit.
pub struct Running {
    place: Place,
    child: Child,
}

impl Running {
    /// In a place of its own; `more` goes into its box file.
    pub async fn start(program: &Path, show: &Path, more: &str) -> Result<Self, BoxError> {
        Place::new(program, show, more)?.run().await
    }

    /// Takes its power away: it says nothing any more.
    pub fn kill(&mut self) -> Result<(), BoxError> {
        self.child.kill().map_err(BoxError::machine("kill"))
    }

    /// After [`Self::kill`], in the same place.
    pub async fn begin_again(&mut self) -> Result<(), BoxError> {
        self.child.wait().map_err(BoxError::machine("wait"))?;
        self.child = self.place.spawn()?;
        self.wait_until_it_answers().await
    }

    async fn wait_until_it_answers(&mut self) -> Result<(), BoxError> {
        let deadline = Instant::now() + PATIENCE;
        while get(&self.socket(), "/api/v1/status").await.is_err() {
            if !matches!(self.child.try_wait(), Ok(None)) {
                return Err(self.silent("ended at once"));
            }
            if Instant::now() > deadline {
                return Err(self.silent("did not answer on its socket in time"));
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        Ok(())
    }

    fn silent(&self, how: &'static str) -> BoxError {
        let log = fs::read_to_string(self.place.log()).unwrap_or_default();
        BoxError::Silent { how, log }
    }

    /// The command-line program, ready to give this box an order.
    pub fn command(&self, order: &str) -> tokio::process::Command {
        let mut command = tokio::process::Command::new(&self.place.program);
        command.arg(order).arg("--socket").arg(self.socket());
        command.stdout(Stdio::null());
        command
    }

    /// An order through the socket, on a connection of its own, answered.
    pub async fn post(&self, order: &str, body: &'static str) -> Result<(), BoxError> {
        post(&self.socket(), order, body).await
    }

    /// The key of its show's sealed live sound, as a token of its audience carries it; none where that is open to all.
    pub async fn seal(&self) -> Result<Option<ShowKey>, BoxError> {
        let command = "/api/v1/token";
        let answer = ask(&self.socket(), "POST", command, r#"{"role":"audience"}"#).await?;
        let document: serde_json::Value = serde_json::from_str(&answer).unwrap_or_default();
        let token = document["done"]["token"].as_str().and_then(|it| wire::token::parse(it).ok());
        let refused = || BoxError::Refused { command: command.to_owned(), answer };
        Ok(token.ok_or_else(refused)?.claims.seal)
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where phones find it.
    pub fn http(&self) -> SocketAddr {
        self.place.http
    }

    /// Where they find it over TLS and QUIC.
    pub fn https(&self) -> SocketAddr {
        self.place.https
    }

    /// Its control socket.
    pub fn socket(&self) -> PathBuf {
        self.place.socket()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        }
        let deadline = Instant::now() + EXIT;
        while matches!(self.child.try_wait(), Ok(None)) {
            if Instant::now() > deadline {
                eprintln!("the box did not exit within {} s of SIGTERM", EXIT.as_secs());
                let _ = self.child.kill();
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

/// What a box answers on its control socket.
pub async fn get(socket: &Path, path: &str) -> Result<String, BoxError> {
    ask(socket, "GET", path, "").await
}

/// An order to a box by its control socket, on a connection of its own, answered.
pub async fn post(socket: &Path, order: &str, body: &'static str) -> Result<(), BoxError> {
    ask(socket, "POST", &format!("/api/v1/{order}"), body).await.map(drop)
}

async fn ask(
    socket: &Path,
    method: &str,
    path: &str,
    body: &'static str,
) -> Result<String, BoxError> {
    let stream = UnixStream::connect(socket).await.map_err(BoxError::machine("its socket"))?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    let carrier = tokio::spawn(connection);
    let request = Request::builder()
        .method(method)
        .uri(path)
        .header("host", "box")
        .header("content-type", "application/json")
        .body(Full::new(Bytes::from_static(body.as_bytes())))
        .expect("a request of fixed words is well formed");
    let answer = sender.send_request(request).await?;
    let status = answer.status();
    let text = answer.into_body().collect().await?.to_bytes();
    carrier.abort();
    let text = String::from_utf8_lossy(&text).into_owned();
    if status == StatusCode::OK {
        return Ok(text);
    }
    Err(BoxError::Refused { command: path.to_owned(), answer: format!("{status} {text}") })
}

/// A box file that moves the ports, so that a box that runs already is not disturbed.
fn write_box_file(path: &Path, more: &str) -> Result<[SocketAddr; 2], BoxError> {
    // Both are held until both are found, so that they differ; and free on every address, as a box takes them: clients
    // of an earlier one may still have a port on one of them.
    let listen = || {
        TcpListener::bind(("::", 0))
            .or_else(|_| TcpListener::bind(("0.0.0.0", 0)))
            .map_err(BoxError::machine("a free port"))
    };
    let listeners = [listen()?, listen()?];
    let address = |it: &TcpListener| {
        let port = it.local_addr().map_err(BoxError::machine("a free port"))?.port();
        Ok::<_, BoxError>(SocketAddr::from(([127, 0, 0, 1], port)))
    };
    let [http, https] = [address(&listeners[0])?, address(&listeners[1])?];
    let text = format!(
        "{more}[ports]\nhttp = {}\nhttps = {}\nosc = 0\ncluster = 0\nclock = 0\npeers = 0\n",
        http.port(),
        https.port()
    );
    fs::write(path, text).map_err(BoxError::machine("box.toml"))?;
    Ok([http, https])
}
