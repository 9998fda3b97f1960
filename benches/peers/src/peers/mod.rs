//! The peers, each as its documentation recommends.

pub mod aliri;
pub mod by_hand;
pub mod constant;
pub mod huskarl;
pub mod middle;
pub mod oauth2_layer;
pub mod ours;
pub mod reqwest_auth;
pub mod rmcp;
pub mod yup;
