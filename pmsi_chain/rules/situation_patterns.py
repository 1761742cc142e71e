"""Patterns of `pmsi_chain.rules.situation_reader`, on text folded by `pmsi_chain.text.fold`."""

from __future__ import annotations

import re

from pmsi_chain.rules.situation_facts import Obstetric

OF = r"(?:d(?:e l'|e la |u |es |'une? |'un |e |')|a une? )"
#: A noun phrase ends at punctuation, at another cue or at a verb.
END = (
    r"(?=\s*(?:[;.,:()«»\n]|$)|\s+(?:en raison|pour|lors |au cours|chez|dues? a|suivie?s? (?:d'|de|du)|est |sont |ont "
    r"|a ete|qui |dont |avec |apres |sans |par (?:effet|voie)|a la suite|d'une? (?:patient|malade|femme|homme|enfant)"
    r"|ayant|afin|au terme|suivi|et (?:debut|mise|son traitement|traitement)"
    r"|hospitalise|non confirme|prise? en charge|il y a))"
)
PATIENT = r"(?:patiente?s?|malades?|sujets?|femme|homme|enfant|personne)"
MOTIVE = re.compile(
    r"(?:(?:re)?hospitalis(?:ation|e|ee)s?|sejours?|admise?|admission|adressee?|venue?|transferee?|entree?)\b[^;.\n]*?"
    r"(?:en raison (?:de la survenue )?" + OF + r"|\bpour (?:la |le |l'|une? |les |des )?|: )"
    r"(?P<phrase>[^;.\n]{3,}?)" + END
)  # fmt: skip
#: A motive given as a bare phrase, after its heading: « Motif : fièvre et toux ».
BARE = re.compile(r"\s*(?:motif[^:\n]{0,40}[:\n]\W*)?(?P<phrase>[^;.\n]{3,}?)" + END)
#: « prise en charge d'une fracture »: the fracture is meant.
CARE_OF = re.compile(
    r"(?:prise en charge|traitement|exploration|bilan)(?: (?:chirurgicale?|medicale?|therapeutique|etiologique))? " + OF
)
OBJECT = re.compile(r"(?P<phrase>[^;.\n]{3,}?)" + END)
#: A bare disease: a few words, no verb of care.
PLAIN = re.compile(
    r"(?!(?:re)?hospitalis|sejour|bilan|admis|surveillance|suivi|controle|meme |seance|accouche|mise en place"
    r"|pose |ablation|examen|refus|" + PATIENT + r"\b)"
    r"[a-z][a-z0-9'-]*(?: [a-z0-9'-]+){0,6}"
)
#: Before the name of a care: it is not what the stay is for (« après chimiothérapie », « patient hémodialysé »).
STATUS = re.compile(
    r"\b(?:sous|post-?|hors|avant|apres|depuis|en vue|toxicites?|decours|complications?|intercure|arret|echec|lendemain"
    r"|effets? (?:secondaires?|indesirables?)|traitee?s? par|suivie?s? en|patiente?s?|malades?)"
    r"(?: (?:de|du|des|d'|la|le|les|sa|son|une?|premiere|derniere|precedente|\d+ (?:cures?|seances?|cycles?)))*"
    r" ?(?:[ld]')?$"
)
SECOND = re.compile(
    r"(?:en raison (?:de la survenue )?" + OF + r")(?P<phrase>[^;.\n]{3,}?)" + END
)  # fmt: skip
KNOWN = re.compile(
    PATIENT + r"[^;.\n]{0,40}?\b(?:atteinte?s?|souffrant|victime|porteu(?:r|se)|suivie?) (?:pour )?"
    + r"(?:" + OF + r"|une? )(?P<phrase>[^;.\n]{3,}?)" + END
)  # fmt: skip
KNOWN_STATE = re.compile(PATIENT + r" en (?P<phrase>(?:insuffisance|dialyse)[^;.,\n]{3,}?)" + END)
KNOWN_WORD = re.compile(
    r"(?:^|[;.,]\s*|dues? a une? |d'une? |une? )(?P<phrase>(?!il |elle |deja |bien )[a-z][a-z' -]{4,60}?) connue?s?\b"
)
FOUND = re.compile(
    r"(?<!sans )(?<!pas de )"
    r"(?:decouverte|diagnostic(?: et (?:le )?traitement)?|mise en evidence|confirmation|revele|conclut)\b"
    r"(?:,[^,;]{3,60},)? ?" + OF + r"(?P<phrase>[^;.\n]{3,}?)" + END
)  # fmt: skip
CONTINUED = re.compile(
    r"poursui(?:vant|te|t) (?:de |d')?(?:la |le |l')?(?:prise en charge(?: therapeutique)?|traitement|soins) " + OF
    + r"(?P<phrase>[^;.\n]{3,}?)" + END
)  # fmt: skip
LEADING = re.compile(
    r"^(?!(?:re)?hospitalis|sejour|bilan|admis|surveillance|suivi|controle|meme |" + PATIENT + r"\b)"
    r"(?P<phrase>[a-z][a-z' -]{4,60}?) ?;"
)
TREATED = re.compile(
    r"[^;.\n]{0,60}?\b(?:pour|sur|devant) (?:la |le |l'|une? |les |des )?(?P<phrase>[^;.\n]{3,}?)" + END
)
TREATED_FOR = re.compile(
    r"(?:traitement|diagnostique|diagnostiquee)(?: [a-z]+){0,2}? (?:pour|contre|avec) (?:une? |sa |son |la |le |l')"
    r"(?P<phrase>[^;.\n]{3,}?)" + END
)
REMOVED = re.compile(r"\b(?:exerese|cure|resection|correction|reprise) " + OF + r"(?P<phrase>[^;.\n]{3,}?)" + END)
NOT_A_DISEASE = (
    "surveillance", "bilan", "suspicion", "enregistrement", "traitement", "prise en charge", "poursuite",
    "examen de controle", "controle",
)  # fmt: skip
FOUND_IS = re.compile(
    r"(?:^|[;.,]\s*)une? (?P<phrase>[^;.,\n]{3,60}?) (?:est|a ete) (?:diagnostiquee?|decouverte?|mise? en evidence)"
)
#: A conclusion that opens with the name of a disease.
OUTCOME = re.compile(
    r"[\s;]*(?:(?:conclusion|au total|synthese|diagnostic(?:s)?(?: (?:de sortie|retenu|principal|final))?)\W+)*"
    r"(?P<phrase>(?!conclusion|au total|synthese|diagnostic|retour|sortie|bonne?|evolution|patiente?|pas |absence"
    r"|aucun|suites?|(?:re)?hospitalis|admis|il |elle "
    r"|nous|apres|au |a |le |la |les |l'|un |une |ce |cette |m\.|mme|monsieur|madame|cure|seance|sejour"
    r"|surveillance|bilan"
    r"|examen|poursuite|reprise|traitement|intervention|prise en charge|favorable|simple)[a-z][a-z' -]{3,70}?)"
    r"(?=\s+(?:traitee?s?|operee?s?|prise?s? en charge|d'evolution|compliquee?s?|resolutive?|regressive?|favorable)\b"
    + END.replace(r"(?=", "|", 1)
)
NO_CAUSE = re.compile(
    r"sans cause|pas de cause|aucune cause|cause (?:non|in)|sans diagnostic|ne permet pas d'identifier|non contributi"
)
NEGATIVE = re.compile(
    r"absence d'(?:affection|anomalie|element)|pas d'(?:affection|anomalie|element)"
    r"|aucune (?:anomalie|lesion|affection)"
    r"|\bnegatif\b|ne retrouve (?:aucune|pas)|sans anomalie|stable\b"
)
#: « convulsions, suivi d'un état de désorientation »: then, and « suivi d'un ancien ouvrier »: of a person.
THEN = re.compile(
    r"(?:, |: )?suivi d'une? (?:etat|episode|perte|chute|impossib|malaise|syndrome confus|ancien|ouvrier)"
)
SURVEILLANCE = re.compile(
    r"bilan (?:de )?(?:synthese|surveillance|suivi|annuel|apres|post-?greffe)"
    r"|(?<!puis )\bsuivi (?:d'une?|de la|de l'|du|annuel)\b"
    r"|\bsurveillance (?:d'une?|de la|du|de l'|d[ue]|apres|annuelle|post|periodique|programmee|systematique)\b"
    r"|\bpour (?:une )?surveillance\b(?! (?:etroite|rapprochee|continue|clinique))"
    r"|bilan (?:annuel|de controle)|controle (?:annuel|apres|de )|\bpour (?:un )?examen de controle\b"
)
#: What is watched in a stay that is no surveillance of a disease: a pregnancy (ch. XV rules), a stoma (T7). Read from
#: the words of surveillance on; a pregnancy also before them (« enceinte de 34 SA, surveillance du rythme … »).
WATCHED = re.compile(
    r"(?:surveillance|bilan|suivi|controle|soins?) (?:\w+ |[dl]'){0,3}(?:grossesse|foetus|foetale?s?|"
    r"(?:colo|ileo|gastro|jejuno|tracheo|cysto|nephro|uretero|uro)(?:s)?tomie)\b"
)
PREGNANT = re.compile(
    r"\benceinte\b|\bgrossesse (?:de|a|au|actuelle|en cours)\b|semaines d'amenorrhee|\d ?sa\b|\bfoetus\b"
)
FOLLOWED = re.compile(
    r"(?:surveillance|bilan de synthese annuel|bilan annuel|bilan de surveillance|suivi(?: annuel)?) " + OF
    + r"(?P<phrase>[^;.\n…]{3,}?)" + END
)  # fmt: skip
AFTER_SURGERY = re.compile(r"apres (?P<act>[a-z-]+(?:ectomie|plastie|tion)) pour (?P<phrase>[^;.,\n]{3,40}?)" + END)
STAGING = re.compile(r"bilan (?:initial )?(?:d'extension|de stadification)|stadification")
CANCELLED = re.compile(
    r"annulee?s?|reportee?s?|non (?:realisee?|effectuee?)|contre-?indiqua|ne peut pas etre (?:admin|real)"
)
CANCEL_CAUSE = re.compile(
    r"(?:^|[;.,]\s*)une? (?P<phrase>[^;.,\n]{3,40}?) est constatee?"
    r"|montre une? (?P<other>[^;.,\n]{3,60}?) contre-?indiqu"
)
NO_FACILITY = re.compile(
    r"panne (?:de|du)|(?:non disponibilite|indisponibilite)[^.;]{0,20}(?:plateau|materiel|bloc|salle)"
)
PLANNED = re.compile(r"programmee?s?|prevue?s? (?:a l'avance|de longue date)")
MANAGED = re.compile(r"hospitalisation de [0-9]+ (?:heures|jours)|permet|exploration|antibiotherapie|traitement|bilan")
HOME = re.compile(r"retour(?:ne)? a (?:son |)domicile|rentre chez")
SHARED = re.compile(r"(?:transfer[et]|mutation|mute)[^.]*poursui")
SECOND_STAGE = re.compile(
    r"intervention de complement|second temps|deux temps|curage|berges|reprise chirurgicale|\bseconde? "
)
RECENT_SURGERY = re.compile(
    r"(?:recemment subi|recente) (?:une? )?(?P<act>[a-z-]+ectomie) pour (?:une? )?(?P<phrase>[^;.,]{3,40}?)" + END
)
SUSPECTED = re.compile(r"suspicion " + OF + r"(?P<phrase>[^;.\n]{3,}?)" + END)
HISTORY = re.compile(r"antecedents? (?P<phrase>(?:personnel|familia)[^;.,\n]{3,60}?)" + END)
EXAM = re.compile(
    r"\b(?:colo|gastro|fibro|broncho|cysto|hystero|coro)\w*(?:scopie|graphie)s?|\bbiopsies?|\bscanner\b|\birm\b"
)
FLARE = re.compile(
    r"pouss?ees?|exacerb\w+|decompens\w+|desequilibr\w+|destabilis\w+|crise aigue|\baigue\b[^;.]{0,12}$|etat de mal"
)
CHRONIC_OF = re.compile(
    r"(?:pouss?ees?(?: aigues?)?|exacerbations?|decompensations?|desequilibre) "
    + OF
    + r"(?P<phrase>[^;.\n]{3,}?)"
    + END
)
EFFECT = re.compile(r"effet (?:indesirable|secondaire)|complication|dues? a (?:une? )?(?:son |)")
UNCOVERED = re.compile(r"non prise? en charge|non rembours")
TRANSPLANT = re.compile(
    r"transplante|greffe (?:d'organe|renale|hepatique|cardiaque|de)|post-?greffe"
    r"|porteu\w+ d'un (?:coeur|rein|foie|poumon)"
)
IMPLANT = re.compile(r"pontage|stent|prothese valvulaire|valve|endoprothese")
ORGAN_Z94 = (("coeur|cardiaque", "Z94.1"), ("rein|renale", "Z94.0"), ("foie|hepatique", "Z94.4"), ("poumon", "Z94.2"))
IMPLANT_Z95 = (
    ("pontage", "Z95.1"),
    ("stent|coronaire", "Z95.5"),
    ("valve|valvulaire", "Z95.2"),
    ("endoprothese", "Z95.80"),
)
#: Z09 by the treatment that is over (CIM-10 FR, Z09).
AFTER_Z09 = tuple(
    (rf"(?:apres|fin) (?:\w+[ ']){{0,4}}(?:{words})", code)
    for words, code in (
        ("traitements? combine", "Z09.7"), ("fracture|osteosynthese", "Z09.4"),
        ("chirurg|intervention|operation", "Z09.0"), ("radiotherap|irradiation", "Z09.1"), ("chimiotherap", "Z09.2"),
        ("psychotherap", "Z09.3"), ("medicamenteux|antibio", "Z09.8"),
    )
)  # fmt: skip
AFTER_Z08 = (("chimio", "Z08.2"), ("radiotherap|irradiation", "Z08.1"), ("ectomie|chirurg|opere|resection", "Z08.0"))
CONTACT = re.compile(
    r"(?:contamination|contage|contact|exposition)[^.]{0,60}(?:non|pas) (?:finalement )?confirm|contamination qui n'est"
)
CONTACT_OF = re.compile(r"chez (?:son|sa|un|le|la) [a-z]+ " + OF + r"(?P<phrase>[^;.,\n]{3,40}?)" + END)
CAREGIVER = re.compile(
    r"(?:aide|conjoint|aidant)[^.]{0,200}(?:incapable de vivre seule?"
    r"|defaillan|absence de|hospitalisee? dans le meme temps)"
)
RESPITE = re.compile(r"repit (?:de |des |du )?(?:la famille|aidant|famille|conjoint|entourage)")
FALLS = re.compile(r"chutes? (?:a repetition|repetee?s?|repetitives?|multiples)|chute constatee repetitive")
OBSTETRIC: tuple[tuple[str, Obstetric], ...] = (
    (r"accouchement[^.;]{0,40}(?:impromptu|trajet|hors d'un etablissement|au domicile)", Obstetric.UNEXPECTED_DELIVERY),
    (r"(?:mere|accouchee)[^.;]{0,60}transferee?[^.]{0,80}post-?partum", Obstetric.MOTHER_TRANSFERRED),
    (r"nouveau-?ne[^.;]{0,60}transfere", Obstetric.NEWBORN_TRANSFERRED),
    (r"\bivg\b|interruption volontaire de (?:la )?grossesse", Obstetric.ABORTION),
    (r"accouchement (?:normal|eutocique|spontane)", Obstetric.NORMAL_DELIVERY),
    (r"(?:enfant|nouveau-?ne)[^.;]{0,40}en maternite|naissance (?:en maternite|a terme)", Obstetric.BIRTH),
)  # fmt: skip
