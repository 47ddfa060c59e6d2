//! Which box drives, which stand by, and where phones find each of them (SX-03, SX-08).
//!
//! The document's `cluster_info` names boxes by their ids alone, and a phone whose box is gone cannot ask where the others
//! are. So the list of addresses is ours, and so is `standing`, which tells phones that are here already.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::NodeType;

/// Who drives, who stands by.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClusterInfo {
    /// The box that drives.
    pub master_id: Uuid,
    /// The boxes that stand by.
    pub replica_ids: Vec<Uuid>,
    /// Where phones find each of them, the one that drives first (ours); empty where there is but one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub boxes: Vec<BoxAt>,
}

/// Where phones find a box.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoxAt {
    /// Which.
    pub node_id: Uuid,
    /// What it is called, for people.
    pub name: String,
    /// Its origin: `http://10.0.0.5:8080/`.
    pub url: String,
    /// The same over TLS: `https://10.0.0.5:8443/`; none where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub secure_url: Option<String>,
}

/// `standing`: what a box is, and among which (ours). `hello` says it to those who come, and this to those who are there
/// once it has changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Standing {
    /// `master` or `replica`.
    pub node_type: NodeType,
    /// Who drives, who stands by.
    pub cluster_info: ClusterInfo,
}

impl Standing {
    /// A box that knows of no other drives.
    pub fn alone(node: Uuid) -> Self {
        let cluster_info =
            ClusterInfo { master_id: node, replica_ids: Vec::new(), boxes: Vec::new() };
        Self { node_type: NodeType::Master, cluster_info }
    }
}
