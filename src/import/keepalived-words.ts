// The words of keepalived.conf that are not carried over, each with what an operator should know.
// What stands in no table is an unknown word, which keepalived itself skips; of an unknown block it
// skips the first line only (keepalived-unread.ts). Pure. Source: keepalived.conf.5 and the keyword
// tables of keepalived.
import type { Directive } from './directive.ts';
import type { NoteTaker } from './note.ts';

/** What is said of a word. */
interface Said {
  readonly effect: 'lost' | 'changed' | 'unneeded';
  readonly why: string;
}

type WordTable = Readonly<Record<string, Said>>;

/** The note about a word that is not carried over, and about the block that it opens. */
export function saying(at: Directive, table: WordTable, notes: NoteTaker, path: readonly string[]): void {
  const known = Object.hasOwn(table, at.keyword) ? table[at.keyword] : undefined;
  if (known !== undefined) {
    notes.add(known.effect, at, known.why, path);
    return;
  }
  const what = at.children === undefined ? 'word here, and skips it' : 'block here';
  notes.lost(at, `keepalived knows no such ${what}: was something else meant?`, path);
}

function said(effect: Said['effect'], why: string, words: string): WordTable {
  return Object.fromEntries(words.split(/\s+/).map(word => [word, { effect, why }]));
}

const NO_MAIL = 'Tandem sends no mail: alert by its metrics (conf/alerts.yaml) or its events';
const NO_SCRIPTS = 'Tandem runs no script when a router or server changes its state: watch its events instead';
const NO_TRACK = 'of this Tandem tracks nothing by itself: a script of yours can look at it (fitness.checks)';
const NO_SNMP = 'Tandem has no SNMP: its metrics are for Prometheus';
const BOOKKEEPING = 'nothing of Tandem depends on it';
const OWN_PACE = 'Tandem announces its addresses in its own way, and repeats it';
const FORK = 'a word of a fork (LVS full NAT, DPVS), which Linux has not';

export const GLOBAL_WORDS: WordTable = {
  ...said(
    'lost',
    NO_MAIL,
    'notification_email notification_email_from smtp_server smtp_helo_name smtp_connect_timeout smtp_alert smtp_alert_vrrp smtp_alert_checker smtp_alert_fault',
  ),
  ...said(
    'lost',
    NO_SNMP,
    'snmp_socket enable_traps enable_snmp_keepalived enable_snmp_vrrp enable_snmp_checker enable_snmp_rfc enable_snmp_rfcv2 enable_snmp_rfcv3 snmp_vs_stats_update_interval snmp_rs_stats_update_interval',
  ),
  ...said(
    'lost',
    NO_SCRIPTS,
    'notify_fifo notify_fifo_script vrrp_notify_fifo vrrp_notify_fifo_script lvs_notify_fifo lvs_notify_fifo_script startup_script shutdown_script startup_script_timeout shutdown_script_timeout',
  ),
  ...said(
    'unneeded',
    OWN_PACE,
    'vrrp_garp_master_delay vrrp_garp_master_repeat vrrp_garp_master_refresh vrrp_garp_master_refresh_repeat vrrp_garp_lower_prio_delay vrrp_garp_lower_prio_repeat vrrp_garp_interval vrrp_gna_interval vrrp_garp_extra_if vrrp_down_timer_adverts',
  ),
  ...said(
    'unneeded',
    'Tandem syncs connections itself, over every heartbeat link',
    'lvs_sync_daemon lvs_sync_daemon_interface lvs_sync_daemon_inteface',
  ),
  ...said(
    'unneeded',
    BOOKKEEPING,
    'router_id lvs_id vrrp_version vrrp_strict vrrp_skip_check_adv_addr vrrp_mcast_group4 vrrp_mcast_group6 vrrp_iptables vrrp_ipsets nftables nftables_counters nftables_ifindex vrrp_check_unicast_src vrrp_lower_prio_no_advert vrrp_higher_prio_send_advert vrrp_priority checker_priority bfd_priority vrrp_no_swap checker_no_swap bfd_no_swap vrrp_rt_priority checker_rt_priority bfd_rt_priority vrrp_rlimit_rttime checker_rlimit_rttime vrrp_rlimit_rtime checker_rlimit_rtime vrrp_cpu_affinity checker_cpu_affinity max_auto_priority min_auto_priority_delay script_user enable_script_security use_pid_dir process_names process_name vrrp_process_name checker_process_name dynamic_interfaces allow_if_changes no_checker_emails default_interface lvs_flush lvs_flush_onstop lvs_flush_on_stop vrrp_netlink_cmd_rcv_bufs vrrp_netlink_monitor_rcv_bufs lvs_netlink_cmd_rcv_bufs lvs_netlink_monitor_rcv_bufs vrrp_rx_bufs_policy vrrp_rx_bufs_multiplier rs_init_notifies umask tmp_config_directory enable_dbus dbus_no_interface_name dbus_service_name reload_time_file reload_repeat reload_check_config reload_date_specific reload_file data_use_instance vrrp_startup_delay vrrp_owner_ignore_adverts random_seed disable_local_igmp fifo_write_vrrp_states_on_reload state_dump_file json_version log_unknown_vrids emergency_reload child_wait_time instance net_namespace net_namespace_ipvs linkbeat_use_polling linkbeat_interfaces debug',
  ),
};

export const TOP_WORDS: WordTable = {
  ...said(
    'unneeded',
    BOOKKEEPING,
    'net_namespace net_namespace_ipvs namespace_with_ipsets instance use_pid_dir child_wait_time linkbeat_interfaces linkbeat_use_polling garp_group SSL',
  ),
  ...said('lost', NO_TRACK, 'vrrp_track_process vrrp_track_file track_file bfd_instance'),
  ...said(
    'lost',
    'Tandem sets no addresses, routes and rules but VIPs and gateways: set it in the network of the system',
    'static_ipaddress static_routes static_rules interface_up_down_delays static_track_group',
  ),
};

export const INSTANCE_WORDS: WordTable = {
  ...said('unneeded', 'rank is by priority: see routers', 'state'),
  ...said('unneeded', 'Tandem has a key of its own for its heartbeats: `tandem keygen`', 'authentication'),
  ...said(
    'unneeded',
    BOOKKEEPING,
    'virtual_router_id dont_track_primary skip_check_adv_addr strict_mode native_ipv6 accept no_accept debug version linkbeat_use_polling old_unicast_checksum check_unicast_src unicast_fault_no_peer lower_prio_no_advert higher_prio_send_advert kernel_rx_buf_size mcast_dst_ip mcast_dst_ipv6 promote_secondaries down_timer_adverts rogue_router vmac_addr_gen_mode thread_timer_expired unicast_ttl unicast_mode track_src_ip',
  ),
  ...said(
    'unneeded',
    OWN_PACE,
    'garp_master_delay garp_master_repeat garp_master_refresh garp_master_refresh_repeat garp_lower_prio_delay garp_lower_prio_repeat garp_interval gna_interval garp_group garp_extra_if',
  ),
  ...said(
    'unneeded',
    'Tandem syncs connections itself, over every heartbeat link',
    'lvs_sync_daemon_interface lvs_sync_daemon_inteface lvs_sync_daemon',
  ),
  ...said('unneeded', 'Tandem watches every LAN of its config', 'track_interface'),
  ...said(
    'changed',
    "Tandem's times are written instead: a heartbeat each 100ms, takeover after a silence of 300ms",
    'advert_int',
  ),
  ...said(
    'changed',
    'Tandem gives the addresses back only with heartbeat.auto_failback, and at once',
    'preempt_delay preempt',
  ),
  ...said(
    'changed',
    'the addresses are on the interface itself, and move by gratuitous ARP: no virtual MAC address goes with them',
    'use_vmac vmac_xmit_base use_vmac_addr use_ipvlan vmac_garp_intvl',
  ),
  ...said('lost', NO_TRACK, 'track_file track_process track_bfd'),
  ...said(
    'lost',
    NO_SCRIPTS,
    'notify notify_master notify_backup notify_fault notify_stop notify_deleted notify_master_rx_lower_pri notify_priority_changes',
  ),
  ...said('lost', NO_MAIL, 'smtp_alert'),
  ...said(
    'lost',
    'Tandem sets no routes and rules: set it in the network of the system',
    'virtual_routes virtual_rules',
  ),
};

/** Of a vrrp_script; `weight` and `script` are read. */
export const SCRIPT_WORDS: WordTable = {
  ...said('unneeded', 'it runs as user tandem-runner in any case', 'user'),
  ...said('changed', 'a check that has not passed yet says nothing of the router in Tandem', 'init_fail'),
};

export const GROUP_WORDS: WordTable = {
  ...said(
    'unneeded',
    'all addresses of a Tandem pair move together',
    'group global_tracking sync_group_tracking_weight track_interface',
  ),
  ...said('lost', NO_TRACK, 'track_file track_process track_bfd'),
  ...said(
    'lost',
    NO_SCRIPTS,
    'notify notify_master notify_backup notify_fault notify_stop notify_deleted notify_priority_changes',
  ),
  ...said('lost', NO_MAIL, 'smtp_alert'),
};

export const VIRTUAL_SERVER_WORDS: WordTable = {
  ...said('unneeded', 'keepalived took this word out long ago', 'nat_mask'),
  ...said(
    'unneeded',
    BOOKKEEPING,
    'ip_family ha_suspend hysteresis warmup snmp_name delay_before_retry connect_timeout retry delay_loop virtualhost log_all_failures',
  ),
  ...said('changed', 'Tandem uses a server after check.rise good checks, also at the start', 'alpha'),
  ...said('lost', 'Tandem runs no command when servers come and go: watch its events', 'quorum_up quorum_down omega'),
  ...said('lost', 'Tandem forwards to servers as long as one is up', 'quorum'),
  ...said(
    'lost',
    'the sorry server is a machine of its own, with the weight 1',
    'sorry_server_lvs_method sorry_server_inhibit',
  ),
  ...said('lost', NO_MAIL, 'smtp_alert'),
  ...said('lost', 'one-packet scheduling is for UDP, and Tandem does not set it', 'ops'),
  ...said('lost', 'Tandem does not choose the engine of persistence', 'persistence_engine'),
  ...said(
    'lost',
    FORK,
    'laddr_group_name syn_proxy establish_timeout conn_timeout daddr_group_name bind_dev expire_quiescent_conn quic proxy_protocol nat_type alg local_addr_group',
  ),
};

export const REAL_SERVER_WORDS: WordTable = {
  ...said('unneeded', BOOKKEEPING, 'warmup snmp_name log_all_failures'),
  ...said('changed', 'Tandem uses a server after check.rise good checks, also at the start', 'alpha'),
  ...said(
    'lost',
    'Tandem runs no command when a server comes or goes: watch SERVER_UP and SERVER_DOWN',
    'notify_up notify_down',
  ),
  ...said('lost', NO_MAIL, 'smtp_alert'),
  ...said('lost', FORK, 'laddr_group_name local_addr_group'),
};

export const CHECK_WORDS: WordTable = {
  ...said('unneeded', BOOKKEEPING, 'warmup log_all_failures nb_sock_retry http_protocol'),
  ...said('changed', 'Tandem uses a server after check.rise good checks, also at the start', 'alpha'),
  ...said('lost', 'checks come from the address that the routing chooses', 'bindto bind_port bind_if'),
  ...said('lost', 'a server is checked at its own address', 'connect_ip'),
  ...said('lost', 'checks carry no firewall mark', 'fwmark'),
};
