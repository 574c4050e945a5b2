//! hickory-server, bent to a laboratory's needs: DS questions go to the zone above the cut, and
//! signatures begin an hour ago.

use std::collections::HashMap;
use std::future::Future;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use async_trait::async_trait;
use hickory_proto::rr::{LowerName, RecordType};
use hickory_server::Server;
use hickory_server::net::runtime::{RuntimeProvider, Time, TokioHandle, TokioRuntimeProvider, TokioTime};
use hickory_server::server::{Request, RequestHandler, ResponseHandler, ResponseInfo};
use hickory_server::zone_handler::{Catalog, ZoneHandler};
use tokio::net::{TcpListener, UdpSocket};

/// How long before now signatures begin. Signers back-date so that validators whose clocks are a
/// little behind, or were read a moment before an update, accept them; hickory does not.
pub(super) const BACKDATED: Duration = Duration::from_secs(3600);
/// TCP connections that ask nothing for this long are closed.
const IDLE: Duration = Duration::from_secs(30);

/// Every zone of a laboratory.
pub(super) struct Authority {
    zones: Catalog,
    /// For DS questions at a zone's apex: the same zones without that one, so that the zone above
    /// answers (RFC 4035 section 3.1.4.1), which hickory's catalogue does not arrange.
    above: HashMap<LowerName, Catalog>,
}

impl Authority {
    pub(super) fn new(zones: &[(LowerName, Arc<dyn ZoneHandler>)]) -> Self {
        let catalog = |without: Option<&LowerName>| {
            let mut catalog = Catalog::new();
            for (origin, handler) in zones.iter().filter(|(origin, _)| Some(origin) != without) {
                catalog.upsert(origin.clone(), vec![Arc::clone(handler)]);
            }
            catalog
        };
        let above = zones
            .iter()
            .filter(|(origin, _)| zones.iter().any(|(other, _)| other != origin && other.zone_of(origin)))
            .map(|(origin, _)| (origin.clone(), catalog(Some(origin))))
            .collect();
        Authority { zones: catalog(None), above }
    }

    /// Serves on one free port of 127.0.0.1, UDP and TCP, until the server is dropped.
    pub(super) async fn serve(self) -> io::Result<(SocketAddr, Server<Authority>)> {
        let (udp, tcp) = sockets().await?;
        let address = udp.local_addr()?;
        let mut server = Server::new(self);
        server.register_socket(udp);
        server.register_listener(tcp, IDLE, 64);
        Ok((address, server))
    }
}

/// Both transports on the same port: the one that UDP gets may be taken for TCP.
async fn sockets() -> io::Result<(UdpSocket, TcpListener)> {
    let mut attempts = 0;
    loop {
        let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        match TcpListener::bind(udp.local_addr()?).await {
            Ok(tcp) => return Ok((udp, tcp)),
            Err(e) if attempts == 20 => return Err(e),
            Err(_) => attempts += 1,
        }
    }
}

#[async_trait]
impl RequestHandler for Authority {
    async fn handle_request<R: ResponseHandler, T: Time>(&self, request: &Request, to: R) -> ResponseInfo {
        let above = match request.request_info() {
            Ok(info) if info.query.query_type() == RecordType::DS => self.above.get(info.query.name()),
            _ => None,
        };
        above.unwrap_or(&self.zones).handle_request::<R, T>(request, to).await
    }
}

/// tokio, on a clock that is [`BACKDATED`]: hickory reads it for the inception of signatures alone
/// (the check of TSIG times has the server's clock).
#[derive(Clone)]
pub(super) struct BackDated(TokioRuntimeProvider);

impl RuntimeProvider for BackDated {
    type Handle = TokioHandle;
    type Timer = BackDatedTime;
    type Udp = <TokioRuntimeProvider as RuntimeProvider>::Udp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        bind: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.0.connect_tcp(server, bind, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Udp>>>> {
        self.0.bind_udp(local, server)
    }
}

pub(super) struct BackDatedTime;

#[async_trait]
impl Time for BackDatedTime {
    async fn delay_for(duration: Duration) {
        TokioTime::delay_for(duration).await;
    }

    async fn timeout<F: 'static + Future + Send>(duration: Duration, future: F) -> io::Result<F::Output> {
        TokioTime::timeout(duration, future).await
    }

    fn current_time() -> u64 {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        now.saturating_sub(BACKDATED).as_secs()
    }
}
