"""The field a step is about, guessed from words that belong to one field."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from taskrouter.profiling.text import majority

GENERAL: Final = "general"

ENOUGH: Final = 2
"""Different words of one field before it is named; the runner-up must have fewer."""

FIELDS: Final[dict[str, str]] = {
    "finance_business": (
        "revenue invoice invoices stock stocks investor investors investment portfolio market markets "
        "marketing profit loss tax taxes accounting budget quarterly earnings bank banking loan loans "
        "mortgage interest equity shares dividend finance financial business sales customers startup pricing "
        "payment payments kpi kpis ceo company companies hedge bond bonds credit audit forecast economy "
        "economic inflation gdp currency ecommerce brand seo advertising advertisement campaign salary fraud "
        "ledger valuation insurance premium broker fund funds retail"
    ),
    "legal": (
        "legal law laws lawyer attorney contract contracts clause clauses liability court plaintiff defendant "
        "statute statutes regulation regulations gdpr compliance copyright patent patents trademark lawsuit "
        "litigation jurisdiction agreement indemnity nda tenant landlord arbitration statutory tort criminal "
        "judge jury verdict constitutional amendment legislation governing lessee lessor"
    ),
    "medical": (
        "patient patients clinical disease diseases symptom symptoms diagnosis treatment drug drugs dose "
        "dosage medical medicine doctor physician nurse hospital cancer diabetes blood therapy surgery "
        "vaccine vaccines infection virus health healthcare hipaa icd pain chronic cardiac heart lung brain "
        "tumor mri adverse trial trials pregnancy mental anxiety depression insulin antibiotic antibiotics "
        "pediatric radiology fhir ehr"
    ),
    "software_it": (
        "code python javascript typescript java rust golang sql api apis server database docker kubernetes "
        "function functions class html css linux git github bug bugs debug deploy deployment software "
        "developer programming backend frontend microservice microservices cloud aws azure gcp endpoint json "
        "yaml regex compiler script repository http https tcp udp dns react django flask node npm pip cache "
        "latency thread threads async unittest pytest framework algorithm algorithms query queries schema "
        "login oauth encryption cybersecurity malware firewall cpu gpu import def return string array app "
        "application website web browser llm llms vectorstore embedding terraform ansible bash"
    ),
    "math": (
        "equation equations theorem proof prove integral derivative polynomial matrix matrices vector vectors "
        "probability triangle circle angle radius perimeter algebra geometry calculus integer integers prime "
        "primes sum product fraction fractions modulo lemma induction eigenvalue eigenvalues sequence "
        "converges bounded finite infinite sqrt frac quadratic cubic linear function domain percent ratio "
        "divisible factorial logarithm cosine sine tangent math mathematics mathematical arithmetic "
        "combinatorics boxed"
    ),
    "science_eng": (
        "physics chemistry chemical biology molecule molecules atom atoms electron electrons quantum energy "
        "force velocity acceleration mass temperature pressure voltage current circuit circuits engine sensor "
        "sensors robot robotics species evolution cell cells protein proteins dna rna gene genes genome "
        "planet planets star stars galaxy gravity climate carbon oxygen hydrogen reaction acid solvent "
        "thermodynamics mechanical electrical engineering turbine battery batteries solar photosynthesis "
        "ecosystem laboratory experiment experiments magnetic nuclear semiconductor telescope geology "
        "bacteria organism organisms spectrum wavelength astronomy"
    ),
    "humanities_social": (
        "history historical war wars century empire king queen philosophy philosopher religion religious "
        "culture cultural literature novel novels poem poetry poet art artist artists music musical painting "
        "politics political president election elections government democracy society social psychology "
        "education school teacher language linguistics ethics church medieval ancient revolution treaty "
        "author film movie movies theatre drama gender immigration anthropology archaeology museum "
        "renaissance shakespeare"
    ),
    "customer_support": (
        "refund refunds ticket tickets complaint complaints shipping delivery order orders return returns "
        "subscription warranty cancel cancellation account support helpdesk agent faq reservation booking "
        "flight flights tracking replacement exchange troubleshoot escalate apologize customer"
    ),
}
"""Words of each field. A word may belong to several fields; it then settles nothing alone."""

_FIELDS_OF: dict[str, list[str]] = {}
for _field, _list in FIELDS.items():
    for _word in _list.split():
        _FIELDS_OF.setdefault(_word, []).append(_field)
_KNOWN = frozenset(_FIELDS_OF)


def guess_domain(unique_words: Iterable[str]) -> str:
    """Return one of `taskrouter.profile.DOMAINS`, `general` when unsure."""
    best, most = majority(_KNOWN.intersection(unique_words), _FIELDS_OF)
    return best if best is not None and most >= ENOUGH else GENERAL
