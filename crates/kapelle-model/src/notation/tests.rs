//! Notation in, graph out.

use expect_test::{Expect, expect};

use super::{process, xml};

fn check(text: &str, expect: Expect) {
    expect.assert_eq(&process(text).to_text());
}

#[test]
fn a_chain_of_default_kinds() {
    check(
        "process hello ; start -> charge -> end",
        expect![[r#"
        PROCESS hello
          START_EVENT start
          SERVICE_TASK charge: job charge retries 3
          END_EVENT end
        start_charge: start -> charge
        charge_end: charge -> end
    "#]],
    );
}

#[test]
fn gateways_name_their_flows() {
    check(
        "start -> gate{a: x > 5, b: x <= 5, c: default} ; a -> end ; b -> end ; c -> one -> gate",
        expect![[r#"
            PROCESS process
              START_EVENT start
              EXCLUSIVE_GATEWAY gate: default c
              END_EVENT end
              SERVICE_TASK one: job one retries 3
            a: gate -> end if x > 5
            b: gate -> end if x <= 5
            c: gate -> one by default
            start_gate: start -> gate
            one_gate: one -> gate
        "#]],
    );
    check(
        "start -> fork -> a -> join -> end ; fork -> b -> join",
        expect![[r#"
            PROCESS process
              START_EVENT start
              PARALLEL_GATEWAY fork
              SERVICE_TASK a: job a retries 3
              PARALLEL_GATEWAY join
              END_EVENT end
              SERVICE_TASK b: job b retries 3
            start_fork: start -> fork
            fork_a: fork -> a
            a_join: a -> join
            join_end: join -> end
            fork_b: fork -> b
            b_join: b -> join
        "#]],
    );
    check(
        "start -> race -> c1:catch(message paid, key id) -> end ; race -> c2:catch(duration =wait) -> end",
        expect![[r#"
            PROCESS process
              START_EVENT start
              EVENT_BASED_GATEWAY race
              INTERMEDIATE_CATCH_EVENT c1: message paid key =id
              END_EVENT end
              INTERMEDIATE_CATCH_EVENT c2: timer duration =wait
            start_race: start -> race
            race_c1: race -> c1
            c1_end: c1 -> end
            race_c2: race -> c2
            c2_end: c2 -> end
        "#]],
    );
}

#[test]
fn every_kind_with_its_arguments() {
    check(
        r#"s:start(message placed, event com.placed, filter data.total > 1, eventkey data.id, variables {a: data}, eventttl PT1H, lock false)
           s -> a:service(type charge, retries 5, header k v w, in x.y = a + 1, out z = "a, b") -> u:user(assignee =owner)
           u -> m:manual -> t:task -> th:throw -> tj:throw(job mail) -> sm:send(message paid, key =id, id =x, ttl PT1H)
           sm -> sp:send(publish order.done, subject =id, data ={a: 1}, to hook) -> r:receive(message paid, key orderId)
           r -> end1:end(publish done, data =x)
           late(duration PT5M) on r -> end2:end(error FAILED)
           tick(cycle R/PT1M) beside r -> end3:end(terminate)
           msg(message paid2, key k) beside r -> end4:end(job bye)
           oops(error) on a -> end5
           s2:start(cycle R3/PT10S) -> a"#,
        expect![[r#"
            PROCESS process
              START_EVENT s: message placed event com.placed filter =data.total > 1 key =data.id variables ={a: data} ttl 3600000 ms without lock
              SERVICE_TASK a: job charge retries 5
                input x.y =a + 1
                output z ="a, b"
                header k = "v w"
                boundary oops
              USER_TASK u: job io.camunda.zeebe:userTask retries 1
                header io.camunda.zeebe:assignee = =owner
              MANUAL_TASK m
              TASK t
              INTERMEDIATE_THROW_EVENT th
              INTERMEDIATE_THROW_EVENT tj: job mail retries 3
              SEND_TASK sm: publish message paid key =id id =x ttl PT1H
              SEND_TASK sp: publish event order.done subject =id data ={a: 1} to hook
              RECEIVE_TASK r: message paid key =orderId
                boundary late, tick, msg
              END_EVENT end1: publish event done data =x
              BOUNDARY_EVENT late: interrupts r on timer duration PT5M
              END_EVENT end2: error FAILED
              BOUNDARY_EVENT tick: accompanies r on timer cycle R/PT1M
              END_EVENT end3: terminate
              BOUNDARY_EVENT msg: accompanies r on message paid2 key =k
              END_EVENT end4: job bye retries 3
              BOUNDARY_EVENT oops: interrupts a on any error
              END_EVENT end5
              START_EVENT s2: timer cycle R3/PT10S
            s_a: s -> a
            a_u: a -> u
            u_m: u -> m
            m_t: m -> t
            t_th: t -> th
            th_tj: th -> tj
            tj_sm: tj -> sm
            sm_sp: sm -> sp
            sp_r: sp -> r
            r_end1: r -> end1
            late_end2: late -> end2
            tick_end3: tick -> end3
            msg_end4: msg -> end4
            oops_end5: oops -> end5
            s2_a: s2 -> a
        "#]],
    );
}

#[test]
fn subprocesses_nest() {
    check(
        "start -> sub[start2 -> inner[start3 -> b -> end3(error E)] -> end2] -> end ; oops(error E) on sub -> end4",
        expect![[r#"
            PROCESS process
              START_EVENT start
              SUB_PROCESS sub: starts at start2
                boundary oops
                START_EVENT start2
                SUB_PROCESS inner: starts at start3
                  START_EVENT start3
                  SERVICE_TASK b: job b retries 3
                  END_EVENT end3: error E
                END_EVENT end2
              END_EVENT end
              BOUNDARY_EVENT oops: interrupts sub on error E
              END_EVENT end4
            start3_b: start3 -> b
            b_end3: b -> end3
            start2_inner: start2 -> inner
            inner_end2: inner -> end2
            start_sub: start -> sub
            sub_end: sub -> end
            oops_end4: oops -> end4
        "#]],
    );
}

#[test]
#[should_panic(expected = "'nonsense' is no kind of node")]
fn a_wrong_text_says_what_is_wrong() {
    let _ = xml("start -> x:nonsense");
}

#[test]
#[should_panic(expected = "the flow 'a' leads nowhere")]
fn a_flow_without_target_is_no_process() {
    let _ = xml("start -> gate{a: x, b: default} ; b -> end");
}

#[test]
#[should_panic(expected = "KAP-BPMN-0029")]
fn a_refused_process_shows_its_diagnostics() {
    let _ = process("start -> a:task -> b:task -> a");
}

#[test]
#[should_panic(expected = "'retires' of 'a' is no word of an argument")]
fn a_misspelt_argument_is_not_dropped() {
    let _ = xml("start -> a(retires 3)");
}
