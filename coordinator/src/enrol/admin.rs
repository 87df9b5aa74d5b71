//! Who may ask for what: the smallest set for each role.

use synod_certs::Role;
use synod_common::wire::AdminRequest;

/// Whether a member of `role` may ask for `request`. An operator may everything, an observer may look, a site nothing.
#[must_use]
pub fn permitted(role: Role, request: &AdminRequest) -> bool {
    match role {
        Role::Operator => true,
        Role::Observer => match request {
            AdminRequest::Members => true,
            AdminRequest::Invite { .. }
            | AdminRequest::Approve { .. }
            | AdminRequest::Suspend(_)
            | AdminRequest::Resume(_)
            | AdminRequest::Revoke(_)
            | AdminRequest::Remove(_)
            | AdminRequest::Rename { .. }
            | AdminRequest::RotateAuthority { .. } => false,
        },
        Role::Site | Role::Coordinator => false,
    }
}
