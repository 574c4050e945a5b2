//! Which hosts are meant and how to get in, held against those who wrote the forms: ClusterShell, ssh, Ansible, and name
//! servers that hand out a zone.

mod ansible;
mod hostile;
mod sets;
mod ssh_config;
mod verified;
