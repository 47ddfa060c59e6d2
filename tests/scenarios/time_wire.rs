//! The datagrams that ask and tell the time, as the vectors have them; `tests/page` reads the same files.

use tests::seeds::seeds;
use wire::time::{Answer, Question};

fn vector(name: &str) -> Vec<u8> {
    let found = seeds(&["time"]).into_iter().find(|seed| seed.name == name);
    found.unwrap_or_else(|| panic!("there is no {name}")).bytes
}

#[test]
fn sx09_a_question_and_its_answer_read_as_their_vectors_say() {
    let t1 = 123_456.7_f64.to_be_bytes();
    assert_eq!(Question::parse(&vector("question.txt")), Ok(Question { t1 }));
    let t2_ns = 1_790_000_000_123_456_789;
    let answer = Answer { t1, t2_ns, t3_ns: t2_ns + 250_000 };
    assert_eq!(Answer::parse(&vector("answer.txt")), Ok(answer));
}

#[test]
fn what_a_vector_calls_refused_is_neither_question_nor_answer() {
    let refused = seeds(&["time"]).into_iter().filter(|seed| seed.name.starts_with("refused"));
    let mut count = 0;
    for seed in refused {
        let read = (Question::parse(&seed.bytes), Answer::parse(&seed.bytes));
        assert!(matches!(read, (Err(_), Err(_))), "{}: {read:?}", seed.name);
        count += 1;
    }
    assert!(count > 3, "{count} vectors");
}
