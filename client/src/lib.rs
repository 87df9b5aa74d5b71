//! The client of Synod: the samples of a site ([`data`]), architectures ([`models`]), what a model is for ([`task`]), and
//! local training ([`train`]) on a device chosen at run time ([`device`]). [`catalogue`] tells the reader of plans which
//! losses there are. [`work`] is one task of one site, [`keep`] what a site keeps between
//! rounds, [`session`] a site's side of a run over the network.

pub mod catalogue;
pub mod data;
pub mod device;
pub mod enrol;
pub mod keep;
pub mod models;
pub mod session;
pub mod task;
pub mod train;
pub mod work;
