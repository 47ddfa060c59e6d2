//! What witnesses have in common: a mixed model, fitted by expectation and maximisation.
//!
//! In: residuals that phones have measured of themselves, each with the place of its model and way. Out: what any
//! phone's residual is likely to be, and how sure that is. Everything is in microseconds.
//!
//! A residual is `common + model + way + own`, each normally spread about nought, and what was measured is off by
//! its own noise. The naive way takes each model's mean: with one witness that is mostly the witness itself, with
//! one liar it is the lie. So every part is drawn towards nought as far as its spread is small beside its doubt, the
//! spreads are learnt from the data, and a witness counts less the farther it stands from what its fellows say.
//!
//! Many models, few ways: models are eliminated one by one (each is a number to divide by), and only a matrix as
//! large as there are ways is inverted.

/// A phone that has measured itself.
#[derive(Debug, Clone, Copy)]
pub(super) struct Witness {
    pub(super) place: Place,
    pub(super) measured: Measured,
}

/// What a phone is and how it is reached; none is unknown, and shared with nobody.
#[derive(Debug, Clone, Copy)]
pub(super) struct Place {
    pub(super) model: Option<usize>,
    pub(super) way: Option<usize>,
}

/// A residual and the variance of its measurement.
#[derive(Debug, Clone, Copy)]
pub(super) struct Measured {
    pub(super) residual: f64,
    pub(super) noise: f64,
}

/// What a residual is likely to be.
#[derive(Debug, Clone, Copy)]
pub(super) struct Guess {
    pub(super) mean: f64,
    pub(super) variance: f64,
}

/// How far each part spreads: variances.
#[derive(Debug, Clone, Copy)]
struct Spread {
    common: f64,
    model: f64,
    way: f64,
    own: f64,
}

/// The fit.
#[derive(Debug, Clone)]
pub(super) struct Fit {
    spread: Spread,
    few: Few,
    models: Vec<Model>,
    /// How far each witness is believed to be like its fellows, about 1 for most.
    trust: Vec<f64>,
}

/// The common part and the ways, once every model has been eliminated.
#[derive(Debug, Clone)]
struct Few {
    effects: Vec<f64>,
    /// Row by row.
    covariance: Vec<f64>,
}

/// A model, given the common part and the ways: its mean less `lean` of them, sure to `1 / weight`.
#[derive(Debug, Clone)]
struct Model {
    weight: f64,
    mean: f64,
    lean: Vec<f64>,
}

/// Before anybody has measured anything a part is taken to spread by a tenth of a millisecond: what the two ways of
/// a Wi-Fi differ by, and sound cards from what they say.
const SPREAD_USUAL: f64 = 100.0 * 100.0;
/// That guess is worth so many measurements.
const USUAL_WORTH: f64 = 2.0;
/// Student's degrees of freedom of a phone's own part: a witness pulls hardest two spreads away (with 1.25 of one), and
/// less and less beyond.
const TAIL: f64 = 4.0;
/// What `trust * distance²` is on average where phones are spread normally, in squares of their spread (the integral,
/// for `TAIL`): divided by it, what is learnt is that spread and not the tail's.
const TAIL_SHARE: f64 = 0.786_3;
/// It takes so many witnesses to say that their model is far from all others: one liar among them is outvoted.
const MAJORITY: usize = 3;
/// A hundredth of a spread is nobody's worry.
const SETTLED: f64 = 0.01;
const ROUNDS_MAX: usize = 40;
/// A microsecond, squared: no spread is smaller, so nothing is divided by nought.
const LEAST: f64 = 1.0;

impl Fit {
    /// Of these witnesses, of so many models on so many ways.
    pub(super) fn new(witnesses: &[Witness], models: usize, ways: usize) -> Self {
        let (mut spread, mut trust) = start(witnesses, models);
        let mut fit = Self::solve(witnesses, models, ways, spread, trust);
        for _ in 0..ROUNDS_MAX {
            (spread, trust) = fit.improved(witnesses);
            let settled = spread.is_near(&fit.spread);
            fit = Self::solve(witnesses, models, ways, spread, trust);
            if settled {
                break;
            }
        }
        fit
    }

    /// The residual of a phone that has not measured itself.
    pub(super) fn guess(&self, place: Place) -> Guess {
        let shared = self.shared(place);
        let own = self.unshared(place) + self.spread.own;
        Guess { variance: shared.variance + own, ..shared }
    }

    /// The residual of one that has, the `nth` of the witnesses or none of them: what it measured, and a little of what
    /// its fellows have.
    pub(super) fn guess_measured(
        &self,
        nth: Option<usize>,
        Witness { place, measured }: Witness,
    ) -> Guess {
        let shared = self.shared(place);
        let away = measured.residual - shared.mean;
        let trust = match nth {
            Some(nth) => self.trust[nth],
            None => trusted(away * away, self.spread.own),
        };
        let own = self.unshared(place) + self.spread.own / trust;
        let gain = own / (own + measured.noise);
        let rest = 1.0 - gain;
        Guess {
            mean: rest * shared.mean + gain * measured.residual,
            variance: rest * rest * shared.variance + gain * measured.noise,
        }
    }

    /// Common, model and way as far as they are known.
    fn shared(&self, place: Place) -> Guess {
        let mut row = self.few.row(place.way);
        let (mut mean, mut variance) = (0.0, 0.0);
        if let Some(model) = place.model.map(|model| &self.models[model]) {
            row.iter_mut().zip(&model.lean).for_each(|(it, lean)| *it -= lean);
            (mean, variance) = (model.mean, 1.0 / model.weight);
        }
        mean += dot(&row, &self.few.effects);
        Guess { mean, variance: variance + self.few.variance(&row) }
    }

    /// How far the unknown parts spread.
    fn unshared(&self, place: Place) -> f64 {
        let model = if place.model.is_none() { self.spread.model } else { 0.0 };
        let is_lost = place.way.is_none() && self.few.ways() > 0;
        model + if is_lost { self.spread.way } else { 0.0 }
    }

    fn solve(
        witnesses: &[Witness],
        models: usize,
        ways: usize,
        spread: Spread,
        trust: Vec<f64>,
    ) -> Self {
        let size = 1 + ways;
        let empty = Model { weight: 1.0 / spread.model, mean: 0.0, lean: vec![0.0; size] };
        let mut fit = Self {
            few: Few { effects: vec![0.0; size], covariance: vec![0.0; size * size] },
            models: vec![empty; models],
            spread,
            trust,
        };
        fit.sum_up(witnesses);
        fit.eliminate_models();
        fit.few.solve();
        fit
    }

    /// The normal equations, as sums.
    fn sum_up(&mut self, witnesses: &[Witness]) {
        self.few.add_prior(&self.spread);
        for (nth, Witness { place, measured }) in witnesses.iter().enumerate() {
            let own = self.unshared(*place) + self.spread.own / self.trust[nth];
            let weight = 1.0 / (own + measured.noise);
            let row = self.few.row(place.way);
            self.few.add(&row, weight, measured.residual);
            if let Some(model) = place.model.map(|model| &mut self.models[model]) {
                model.weight += weight;
                model.mean += weight * measured.residual;
                model.lean.iter_mut().zip(&row).for_each(|(lean, it)| *lean += weight * it);
            }
        }
    }

    fn eliminate_models(&mut self) {
        for model in &mut self.models {
            model.mean /= model.weight;
            model.lean.iter_mut().for_each(|lean| *lean /= model.weight);
            self.few.add(&model.lean, -model.weight, model.mean);
        }
    }

    /// Spreads and trust by what the fit makes of the witnesses.
    fn improved(&self, witnesses: &[Witness]) -> (Spread, Vec<f64>) {
        let owns = witnesses.iter().enumerate().map(|(nth, it)| self.own_squared(nth, it));
        let owns: Vec<f64> = owns.collect();
        let trust: Vec<f64> = owns.iter().map(|own| trusted(*own, self.spread.own)).collect();
        let own = owns.iter().zip(&trust).map(|(own, trust)| own * trust / TAIL_SHARE);
        let spread = Spread {
            common: learnt([self.few.squared(0)].into_iter()),
            model: learnt(self.models.iter().map(|model| self.model_squared(model))),
            way: learnt((1..=self.few.ways()).map(|way| self.few.squared(way))),
            own: learnt(own),
        };
        (spread, trust)
    }

    /// The expected square of a witness's own part.
    fn own_squared(&self, nth: usize, Witness { place, measured }: &Witness) -> f64 {
        let shared = self.shared(*place);
        let own = self.spread.own / self.trust[nth];
        let gain = own / (own + self.unshared(*place) + measured.noise);
        let away = measured.residual - shared.mean;
        gain * gain * (away * away + shared.variance) + own * (1.0 - gain)
    }

    fn model_squared(&self, model: &Model) -> f64 {
        let mean = model.mean - dot(&model.lean, &self.few.effects);
        mean * mean + 1.0 / model.weight + self.few.variance(&model.lean)
    }
}

impl Few {
    fn ways(&self) -> usize {
        self.effects.len() - 1
    }

    /// What a phone on that way has of them.
    fn row(&self, way: Option<usize>) -> Vec<f64> {
        let mut row = vec![0.0; self.effects.len()];
        row[0] = 1.0;
        way.into_iter().for_each(|way| row[1 + way] = 1.0);
        row
    }

    fn add_prior(&mut self, spread: &Spread) {
        let size = self.effects.len();
        for k in 0..size {
            self.covariance[k * size + k] = 1.0 / if k == 0 { spread.common } else { spread.way };
        }
    }

    fn add(&mut self, row: &[f64], weight: f64, value: f64) {
        let size = self.effects.len();
        for (k, it) in row.iter().enumerate().filter(|(_, it)| **it != 0.0) {
            self.effects[k] += weight * it * value;
            let line = &mut self.covariance[k * size..][..size];
            line.iter_mut().zip(row).for_each(|(sum, other)| *sum += weight * it * other);
        }
    }

    /// Sums become effects and their covariance: Gauss and Jordan, in place. The priors on the diagonal keep every
    /// pivot positive.
    fn solve(&mut self) {
        let size = self.effects.len();
        let matrix = &mut self.covariance;
        for k in 0..size {
            let pivot = matrix[k * size + k];
            matrix[k * size + k] = 1.0;
            matrix[k * size..][..size].iter_mut().for_each(|it| *it /= pivot);
            for line in (0..size).filter(|line| *line != k) {
                let factor = std::mem::take(&mut matrix[line * size + k]);
                for column in 0..size {
                    matrix[line * size + column] -= factor * matrix[k * size + column];
                }
            }
        }
        let sums = std::mem::take(&mut self.effects);
        self.effects = matrix.chunks(size).map(|line| dot(line, &sums)).collect();
    }

    fn variance(&self, row: &[f64]) -> f64 {
        let lines = self.covariance.chunks(row.len());
        row.iter().zip(lines).map(|(it, line)| it * dot(line, row)).sum()
    }

    fn squared(&self, k: usize) -> f64 {
        self.effects[k] * self.effects[k] + self.covariance[k * self.effects.len() + k]
    }
}

impl Spread {
    fn is_near(&self, other: &Self) -> bool {
        let near = |one: f64, other: f64| (one - other).abs() <= SETTLED * other;
        near(self.common, other.common)
            && near(self.model, other.model)
            && near(self.way, other.way)
            && near(self.own, other.own)
    }
}

/// Before the first round: middles instead of means, so that no liar has a say in whom to believe.
fn start(witnesses: &[Witness], models: usize) -> (Spread, Vec<f64>) {
    let centre = middle(witnesses.iter().map(|it| it.measured.residual)).unwrap_or(0.0);
    let of_model = |model: usize| {
        let fellows = witnesses.iter().filter(|it| it.place.model == Some(model));
        (fellows.clone().count() >= MAJORITY)
            .then(|| middle(fellows.map(|it| it.measured.residual)))
            .flatten()
    };
    let middles: Vec<Option<f64>> = (0..models).map(of_model).collect();
    let away = |it: &Witness| {
        let middle = it.place.model.and_then(|model| middles[model]).unwrap_or(centre);
        it.measured.residual - middle
    };
    /// What the middle of distances is to a normal spread.
    const MIDDLE_SHARE: f64 = 0.674_5;
    let usual = middle(witnesses.iter().map(|it| away(it).abs())).unwrap_or(0.0) / MIDDLE_SHARE;
    let spread = Spread {
        common: learnt([centre * centre].into_iter()),
        model: learnt(middles.iter().flatten().map(|it| (it - centre) * (it - centre))),
        way: SPREAD_USUAL,
        own: (usual * usual).max(LEAST),
    };
    let trust = witnesses.iter().map(|it| trusted(away(it) * away(it), spread.own)).collect();
    (spread, trust)
}

fn trusted(squared: f64, spread: f64) -> f64 {
    (TAIL + 1.0) / (TAIL + squared / spread)
}

/// A variance of these squares and of what was thought before.
fn learnt(squares: impl Iterator<Item = f64>) -> f64 {
    let (sum, count) = squares.fold((0.0, 0.0), |(sum, count), it| (sum + it, count + 1.0));
    ((sum + USUAL_WORTH * SPREAD_USUAL) / (count + USUAL_WORTH)).max(LEAST)
}

fn dot(one: &[f64], other: &[f64]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

fn middle(values: impl Iterator<Item = f64>) -> Option<f64> {
    let mut values: Vec<f64> = values.collect();
    values.sort_unstable_by(f64::total_cmp);
    values.get(values.len() / 2).copied()
}
