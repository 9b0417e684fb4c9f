//! One client connection that carries several requests at a time.

use std::rc::Rc;

use forebay_net::buffer::Lent;
use forebay_net::link::Link;

use crate::client::Who;
use crate::worker::Worker;

/// Serves HTTP/2 until either side has had enough. `received` was read of the connection already.
pub(crate) async fn serve(worker: &Rc<Worker>, link: Link, who: Rc<Who>, received: Option<Lent>) {
    let _ = (worker, link, who, received);
}
